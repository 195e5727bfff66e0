// Package reread keeps what is made of files, and makes it anew when they change: certificates, a
// policy, keys. The last that could be made is kept while the files are wrong.
//
// A change is noticed by looking at the files, through symbolic links, and not by being told of it:
// what tells of changes misses some, and a volume of Kubernetes swaps a link above the files. A
// file that was written while it was being read, or just before, is read again later, for a file
// system may give two versions the same time. What counts as a change is another content.
//
// Files that belong together, such as a certificate and its key, are replaced one after the other,
// and do not match for a moment. So a complaint is made only about what stays wrong.
package reread
