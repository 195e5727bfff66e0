// Command sbom writes the bill of materials of a binary that Go built: which modules are in it, in
// which versions, as CycloneDX JSON.
//
//	sbom [-version V] [-o FILE] BINARY
//
// It believes nothing but the binary, in which the go command has put the list of the modules that
// were linked, with their checksums. So it also tells of a binary for another platform, and the
// same binary has the same bill always. What was built without modules, or stripped of that list,
// is refused. It is a module of its own, so that the format's library is not among what dlm needs.
package main
