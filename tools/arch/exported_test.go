package arch_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What the store exports is what somebody else calls. A name that is left over misleads: it has to
// be read, and kept working.
func TestStoreExportsNothingUnused(t *testing.T) {
	for _, name := range unused(t, "../..", module+"/etcdstore") {
		t.Errorf("nobody outside of etcdstore uses its %s, but tests perhaps", name)
	}
}

// unused lists what a package exports, and no other package of the module in a directory uses.
// Tests do not count, nor do packages below it, which help to test it; but for the interfaces that
// these declare: what a whole suite is run through is no leftover.
//
// A method is used as well if its type implements an interface outside that has it; a type, if it
// occurs in what is used. Fields of structs are left out, and so are bounds and defaults: they are
// there to be read.
func unused(t *testing.T, dir, of string) []string {
	t.Helper()
	c := load(t, dir)
	target, err := c.Import(of)
	if err != nil {
		t.Fatal(err)
	}
	u := usage{target, map[types.Object]bool{}}
	for _, p := range c.module {
		if p.ImportPath != of && slices.Contains(p.Imports, of) {
			u.by(t, c, p)
		}
	}
	for _, i := range ofErrors() {
		u.through(i)
	}
	var names []string
	for _, name := range target.Scope().Names() {
		object := target.Scope().Lookup(name)
		if !object.Exported() {
			continue
		}
		if !u.used[object] && !isBound(object) {
			names = append(names, name)
		}
		for m := range methods(object) {
			if m.Exported() && !u.used[m] {
				names = append(names, name+"."+m.Name())
			}
		}
	}
	return names
}

// ofErrors are the interfaces that package errors calls errors through: error itself, and Is.
func ofErrors() []*types.Interface {
	plain := types.Universe.Lookup("error").Type()
	is := types.NewSignatureType(nil, nil, nil, types.NewTuple(types.NewVar(token.NoPos, nil, "", plain)),
		types.NewTuple(types.NewVar(token.NoPos, nil, "", types.Typ[types.Bool])), false)
	return []*types.Interface{
		plain.Underlying().(*types.Interface),
		types.NewInterfaceType([]*types.Func{types.NewFunc(token.NoPos, nil, "Is", is)}, nil).Complete(),
	}
}

// isBound reports whether a name is a constant's that says how much the package takes, or what it
// takes by default.
func isBound(object types.Object) bool {
	_, constant := object.(*types.Const)
	return constant && slices.ContainsFunc([]string{"Max", "Min", "Default"}, func(begin string) bool {
		return strings.HasPrefix(object.Name(), begin)
	})
}

// methods goes through the methods that are declared for a type.
func methods(object types.Object) func(func(*types.Func) bool) {
	return func(yield func(*types.Func) bool) {
		if named, ok := object.Type().(*types.Named); ok && object == named.Obj() {
			for m := range named.Methods() {
				if !yield(m) {
					return
				}
			}
		}
	}
}

// usage is what is known to be used of a package.
type usage struct {
	target *types.Package
	used   map[types.Object]bool
}

// by notes what a package uses.
func (u usage) by(t *testing.T, c compiled, p pkg) {
	t.Helper()
	var files []*ast.File
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(c.files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	info := types.Info{Uses: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}}
	config := types.Config{Importer: c}
	if _, err := config.Check(p.ImportPath, c.files, files, &info); err != nil {
		t.Fatal(err)
	}
	helper := within(p.ImportPath, u.target.Path())
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			if i, ok := n.(*ast.InterfaceType); ok {
				u.through(info.TypeOf(i).(*types.Interface))
				ast.Inspect(i, func(n ast.Node) bool { return u.name(info, n) })
			}
			return helper || u.name(info, n)
		})
	}
}

// name notes what an identifier stands for. It reports true.
func (u usage) name(info types.Info, n ast.Node) bool {
	if id, ok := n.(*ast.Ident); ok {
		u.note(info.Uses[id])
	}
	return true
}

// through notes what may be called through an interface.
func (u usage) through(i *types.Interface) {
	if i.NumMethods() == 0 || !i.IsMethodSet() {
		return
	}
	for _, name := range u.target.Scope().Names() {
		object := u.target.Scope().Lookup(name)
		if _, ok := object.(*types.TypeName); !ok || !types.Implements(types.NewPointer(object.Type()), i) {
			continue
		}
		for m := range methods(object) {
			if slices.ContainsFunc(slices.Collect(i.Methods()), func(of *types.Func) bool { return of.Name() == m.Name() }) {
				u.note(m)
			}
		}
	}
}

func (u usage) note(object types.Object) {
	if object == nil || object.Pkg() != u.target || u.used[object] {
		return
	}
	u.used[object] = true
	u.occurs(object.Type())
}

// occurs notes the types that one is made of, as far as others can see them.
func (u usage) occurs(t types.Type) {
	switch t := t.(type) {
	case *types.Named:
		if t.Obj().Pkg() == u.target && !u.used[t.Obj()] {
			u.used[t.Obj()] = true
			u.occurs(t.Underlying())
		}
	case *types.Pointer:
		u.occurs(t.Elem())
	case *types.Slice:
		u.occurs(t.Elem())
	case *types.Array:
		u.occurs(t.Elem())
	case *types.Chan:
		u.occurs(t.Elem())
	case *types.Map:
		u.occurs(t.Key())
		u.occurs(t.Elem())
	case *types.Struct:
		for f := range t.Fields() {
			if f.Exported() {
				u.occurs(f.Type())
			}
		}
	case *types.Signature:
		for v := range t.Params().Variables() {
			u.occurs(v.Type())
		}
		for v := range t.Results().Variables() {
			u.occurs(v.Type())
		}
	}
}

// compiled is the packages of a module, with what the compiler knows of them and of all that they
// import.
type compiled struct {
	types.Importer
	files  *token.FileSet
	module []pkg
}

func load(t *testing.T, dir string) compiled {
	t.Helper()
	watch(t, dir)
	cmd := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-json=ImportPath,Dir,GoFiles,Imports,Export,DepOnly", "./...")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		errors.As(err, &exit)
		t.Fatalf("go list: %v\n%s", err, exit.Stderr)
	}
	c := compiled{files: token.NewFileSet()}
	exports := map[string]string{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			pkg
			Export  string
			DepOnly bool
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
		if !p.DepOnly {
			c.module = append(c.module, p.pkg)
		}
	}
	c.Importer = importer.ForCompiler(c.files, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	return c
}

// A sample of what is used and what is not, so that the rule is known to find something.
func TestUnused(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module sample\n\ngo 1.26\n",
		"lib/lib.go": `package lib

import "errors"

var (
	ErrUsed   = errors.New("")
	ErrUnused = errors.New("")
	ErrTest   = errors.New("")
	ErrHelper = errors.New("")
	MaxVar    = 0
)

const (
	Used      = 1
	Unused    = 2
	MaxUnused = 3
	internal  = Unused
)

type Store struct{ Field Inner }

type Inner struct{ N int }

type Result struct{ Err error }

type Nobodys struct{}

type Suite struct{}

func Open() *Store                       { return nil }
func Forgotten()                         { _ = internal; new(Store).AlsoForgotten() }
func (*Store) Called() (r []Result)      { return nil }
func (*Store) ThroughAnInterface()       {}
func (*Store) ThroughASuite(Suite)       {}
func (*Store) AlsoForgotten()            {}
func (*Store) OfAnotherInterface(n int)  {}
func (*Store) hidden()                   {}
`,
		"app/app.go": `package app

import "sample/lib"

type store interface{ ThroughAnInterface() }

type other interface{ OfAnotherInterface(n string) }

func use() (store, other) {
	s := lib.Open()
	for _, r := range s.Called() {
		_ = r.Err == lib.ErrUsed
	}
	return s, nil
}

const _ = lib.Used
`,
		"app/app_test.go": `package app

import "sample/lib"

var _ = lib.ErrTest
`,
		"lib/libtest/libtest.go": `package libtest

import "sample/lib"

type Subject interface{ ThroughASuite(lib.Suite) }

var _ = lib.ErrHelper
`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := unused(t, dir, "sample/lib")
	want := []string{"ErrHelper", "ErrTest", "ErrUnused", "Forgotten", "MaxVar", "Nobodys", "Store.AlsoForgotten", "Store.OfAnotherInterface", "Unused"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("unused: %v\nwant: %v", got, want)
	}
}

// watch has the go command run a test again when a file in a directory has changed: what another
// process reads for it does not count.
func watch(t *testing.T, dir string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(string, fs.DirEntry, error) error { return nil }); err != nil {
		t.Fatal(err)
	}
}
