package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(dirs []string, out, errOut io.Writer) int {
	if len(dirs) == 0 {
		dirs = []string{"."}
	}
	var found []string
	for _, dir := range dirs {
		in, err := shadowed(dir)
		if err != nil {
			_, _ = fmt.Fprintln(errOut, err)
			return 2
		}
		found = append(found, in...)
	}
	for _, line := range found {
		_, _ = fmt.Fprintln(out, line)
	}
	if len(found) > 0 {
		return 1
	}
	return 0
}

// shadowed returns a line for each name below a directory that hides a function.
func shadowed(dir string) (lines []string, err error) {
	files := token.NewFileSet()
	packages := map[string][]*ast.File{} // by directory and name
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == "testdata" {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return err
		}
		if !ast.IsGenerated(file) {
			key := filepath.Dir(path) + " " + file.Name.Name
			packages[key] = append(packages[key], file)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, pkg := range packages {
		functions := functionsOf(pkg)
		for _, file := range pkg {
			for _, name := range declared(file) {
				if functions[name.Name] {
					lines = append(lines, fmt.Sprintf("%s: %s hides the function of that name", files.Position(name.Pos()), name.Name))
				}
			}
		}
	}
	slices.Sort(lines)
	return lines, nil
}

// functionsOf returns the names of a package's functions; methods do not count, they are never
// called without a receiver.
func functionsOf(pkg []*ast.File) map[string]bool {
	names := map[string]bool{}
	for _, file := range pkg {
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name != "_" && f.Name.Name != "init" {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}

// declared returns the names that a file declares inside its functions, parameters and results
// included.
func declared(file *ast.File) (names []*ast.Ident) {
	add := func(exprs ...ast.Expr) {
		for _, e := range exprs {
			if name, ok := e.(*ast.Ident); ok {
				names = append(names, name)
			}
		}
	}
	fields := func(list *ast.FieldList) {
		if list == nil {
			return
		}
		for _, field := range list.List {
			names = append(names, field.Names...)
		}
	}
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok {
			fields(f.Recv)
			if f.Body != nil {
				fields(f.Type.Params) // named for the caller alone where there is no body
				fields(f.Type.Results)
			}
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncLit:
				fields(n.Type.Params)
				fields(n.Type.Results)
			case *ast.AssignStmt:
				if n.Tok == token.DEFINE {
					add(n.Lhs...)
				}
			case *ast.RangeStmt:
				if n.Tok == token.DEFINE {
					add(n.Key, n.Value)
				}
			case *ast.DeclStmt:
				for _, spec := range n.Decl.(*ast.GenDecl).Specs {
					if v, ok := spec.(*ast.ValueSpec); ok {
						names = append(names, v.Names...)
					}
				}
			}
			return true
		})
	}
	return names
}
