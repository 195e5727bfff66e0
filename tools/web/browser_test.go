package web_test

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"google.golang.org/protobuf/types/known/durationpb"
)

var punctual = flag.Bool("punctual", false, "hold the page to the times that are promised, on a machine that has nothing else to do")

// picturesIn is the variable that names where pictures are kept.
const picturesIn = "DLM_WEB_PICTURES"

func seconds(n int) *durationpb.Duration { return durationpb.New(time.Duration(n) * time.Second) }

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if chromium() == "" {
		fmt.Println("SKIPPED: there is no Chromium here (Debian's package is chromium); the web page was not tried")
		return 0
	}
	var err error
	if directory, err = os.MkdirTemp("", "dlm-web-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(directory) }()
	return m.Run()
}

// chromium is where the browser is; empty: nowhere.
func chromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// browser is one tab of a browser of its own. When the test ends, it must not have had an error on
// its console, nor asked for anything that is not the server's.
type browser struct {
	t   testing.TB
	ctx context.Context
	of  string // host and port of the server

	mu      sync.Mutex
	wrong   []string
	allowed []string // parts of what may be wrong
}

// open opens a server's page. token is of who looks; empty: nobody is asked.
func open(t testing.TB, s *server, token, path string) *browser {
	t.Helper()
	b := &browser{t: t, of: s.admin}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium()), chromedp.Flag("headless", "new"), chromedp.Flag("no-sandbox", true),
		chromedp.Flag("disable-gpu", true), chromedp.Flag("no-proxy-server", true), chromedp.WSURLReadTimeout(patience))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	var close context.CancelFunc
	b.ctx, close = chromedp.NewContext(allocator, chromedp.WithListener(b.hear))
	t.Cleanup(func() {
		close()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, wrong := range b.wrong {
			t.Error(wrong)
		}
	})
	b.do(chromedp.EmulateViewport(1280, 800), call(network.Enable, network.EnableParams{}), call(log.Enable, cdp.Empty{}),
		call(runtime.Enable, cdp.Empty{}))
	if token != "" {
		b.do(call(network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Authorization": "Bearer " + token}}))
	}
	b.do(chromedp.Navigate(s.page() + path))
	return b
}

// call is a command of the browser's as an action.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

// hear notes what must not happen.
func (b *browser) hear(ev any) {
	switch e := ev.(type) {
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err != nil || u.Host != b.of {
			b.fault("a request to elsewhere: %s", e.Request.URL)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			b.fault("the browser says: %s (%s %s)", e.Entry.Text, e.Entry.Source, e.Entry.URL)
		}
	case *runtime.EventConsoleAPICalled:
		var args []string
		for _, arg := range e.Args {
			args = append(args, string(arg.Value)+arg.Description)
		}
		b.fault("on the console: %s", strings.Join(args, " "))
	case *runtime.EventExceptionThrown:
		b.fault("an exception: %v", &chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails})
	}
}

func (b *browser) fault(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	for _, part := range b.allowed {
		if strings.Contains(text, part) {
			return
		}
	}
	b.wrong = append(b.wrong, text)
}

// allow has faults that contain a text be none, since a test brings them about.
func (b *browser) allow(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.allowed = append(b.allowed, part)
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// get is what an expression comes to.
func get[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// until waits for an expression to be true. It asks again and again from here: what the driver has
// for that makes a function of a text, which the page's policy forbids.
func (b *browser) until(what, expression string) {
	b.t.Helper()
	for late := time.Now().Add(patience); !get[bool](b, "Boolean("+expression+")"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			b.picture("failed-" + strings.ReplaceAll(b.t.Name(), "/", "-"))
			b.t.Fatalf("waited for %s; the page says: %s", what, get[string](b, `document.body.innerText.slice(0, 600)`))
		}
	}
}

// keys types keys, one after the other.
func (b *browser) keys(keys ...string) {
	b.t.Helper()
	for _, key := range keys {
		b.do(chromedp.KeyEvent(key))
	}
}

// focused says what has the focus.
func (b *browser) focused() string {
	b.t.Helper()
	return get[string](b, `(e => e.id ? '#' + e.id : e.tagName.toLowerCase() + ' ' + e.textContent)(document.activeElement)`)
}

// tabTo presses the Tab key until something has the focus.
func (b *browser) tabTo(what string) {
	b.t.Helper()
	var seen []string
	for range 30 {
		b.keys("\t")
		if b.focused() == what {
			return
		}
		seen = append(seen, b.focused())
	}
	b.t.Fatalf("the Tab key does not lead to %s, but to %s", what, strings.Join(seen, ", "))
}

// picture keeps what the page looks like.
func (b *browser) picture(name string) {
	b.t.Helper()
	dir := os.Getenv(picturesIn)
	if dir == "" {
		return
	}
	shot, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	path := filepath.Join(dir, name+".png")
	if err := os.WriteFile(path, shot, 0o644); err != nil { //nolint:gosec // for people to look at
		b.t.Fatal(err)
	}
	b.t.Logf("picture: %s", path)
}

// prefer has the browser say what its user prefers, such as dark colours.
func (b *browser) prefer(feature, value string) {
	b.t.Helper()
	b.do(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: feature, Value: value}}}))
}

// heard is what a screen reader is told: a line "role name" for each thing that is not ignored.
func (b *browser) heard() string {
	b.t.Helper()
	tree, err := chromedp.Run(b.ctx, chromedp.Action[accessibility.GetFullAXTreeResult](func(ctx context.Context, t *chromedp.Target) (accessibility.GetFullAXTreeResult, error) {
		return cdp.Call(ctx, t, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	}))
	if err != nil {
		b.t.Fatal(err)
	}
	var lines []string
	for _, n := range tree.Nodes {
		if n.Ignored || n.Role == nil {
			continue
		}
		line := plain(string(n.Role.Value))
		if n.Name != nil {
			line += " " + plain(string(n.Name.Value))
		}
		lines = append(lines, line)
	}
	return "\n" + strings.Join(lines, "\n") + "\n"
}

func plain(value string) string { return strings.Trim(value, `"`) }
