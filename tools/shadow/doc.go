// Command shadow reports where a variable, a parameter or a result has the name of a function of
// its package.
//
// Such a name means two things in one file: a reader who knows the function takes a later use for
// it, and a later change that wants the function gets the variable. The linters that look for
// shadowing do so for variables alone.
//
//	shadow [DIR]...
//
// It looks at the Go files of each directory, and of all below it, tests included, generated files
// left out. It prints a line for each name and exits with 1, or with 2 if a file could not be read;
// with nothing found it prints nothing.
package main
