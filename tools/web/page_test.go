package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// named are the names of the rows in view, from above.
const named = `[...document.querySelectorAll('#rows .row')].map(r => r.dataset.lock)`

const live = `document.querySelector('#live').dataset.state === 'live'`

// row is a script's text for the row of a lock.
func row(lock string) string {
	return fmt.Sprintf(`document.querySelector('#rows .row[data-lock=%q]')`, lock)
}

// cell is a script's text for what a cell of a lock's row says.
func cell(lock, column string) string {
	return row(lock) + fmt.Sprintf(`?.querySelector('.%s span:last-child')?.textContent`, column)
}

// TestLive changes locks, and sees the page follow within the time that is promised.
func TestLive(t *testing.T) {
	s := startServer(t)
	b := open(t, s, "", "")
	b.until("the page to be live", live+` && !document.querySelector('#none').hidden`)
	b.picture("nothing-held")
	holder := s.session("cron@db-1:4711")
	var took []time.Duration
	follow := func(what, expression string, change func()) {
		t.Helper()
		changed := fmt.Sprintf(`new Promise(done => {
			const look = () => (%s) ? done(performance.timeOrigin + performance.now()) : setTimeout(look, 4);
			look();
		})`, expression)
		seen := make(chan float64, 1)
		go func() {
			v, err := chromedp.Run(b.ctx, chromedp.Evaluate[float64](changed, chromedp.EvalAwaitPromise))
			if err != nil {
				v = -1
			}
			seen <- v
		}()
		time.Sleep(100 * time.Millisecond) // for the script to be there; if it is not, the change takes longer
		change()
		now := time.Now()
		select {
		case at := <-seen:
			if at < 0 {
				t.Fatalf("%s: the script failed", what)
			}
			took = append(took, time.UnixMicro(int64(at*1000)).Sub(now))
		case <-time.After(patience):
			t.Fatalf("%s: not seen", what)
		}
	}
	var token int64
	for i := range 5 {
		lock := fmt.Sprintf("nightly/%d", i)
		follow("a grant", row(lock), func() { token = holder.hold(lock) })
		b.until("the token", cell(lock, "token")+fmt.Sprintf(` === '%d'`, token))
	}
	waiter := s.session("second@db-2:12")
	follow("a waiter", cell("nightly/4", "waiters")+` === '1'`, func() { waiter.queue("nightly/4") })
	follow("a release", cell("nightly/4", "waiters")+` === '0'`, func() {
		if err := holder.release("nightly/4", token, false); err != nil {
			t.Error(err)
		}
	})
	slices.Sort(took)
	t.Logf("a change is on the page after %v at best, %v in the middle, %v at worst", took[0], took[len(took)/2], took[len(took)-1])
	if worst := took[len(took)-1]; *punctual && worst > 300*time.Millisecond {
		t.Errorf("a change was on the page after %v; promised are 300ms", worst)
	}
	b.until("the sums", `document.querySelector('#held').textContent === '5' && document.querySelector('#waiting').textContent === '0'`)

	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	b.until("the page to notice that nothing comes", `document.querySelector('#live').dataset.state === 'stale' && document.querySelector('#live-text').textContent === 'reconnecting…'`)
	b.picture("stale")
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	b.until("the page to be live again", live)
}

// TestFilterAndSort finds locks by name, holder and identity, and sorts by each column.
func TestFilterAndSort(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a, z := s.session("alice@web-1:1"), s.session("zoe@batch-7:2")
	for _, lock := range []string{"deploy/api", "deploy/web", "nightly/report"} {
		a.hold(lock)
	}
	token := z.hold("billing/close-month")
	z.append("billing/close-month", token, "log", "x")
	a.queue("billing/close-month")
	b := open(t, s, "", "")
	b.until("four rows, the one that is waited for first", `JSON.stringify(`+named+`.slice(0, 1)) === '["billing/close-month"]' && document.querySelectorAll('#rows .row').length === 4`)
	b.picture("overview")
	b.prefer("prefers-color-scheme", "dark")
	b.picture("overview-dark")
	b.prefer("prefers-color-scheme", "light")

	b.keys("/")
	if got := b.focused(); got != "#filter" {
		t.Errorf("the key / leads to %s, want the filter", got)
	}
	for _, c := range []struct{ typed, want string }{
		{"ZOE@", `["billing/close-month"]`}, {"deploy/", `["deploy/api","deploy/web"]`}, {"nothing like it", `[]`}, {"web-1", `["deploy/api","deploy/web","nightly/report"]`},
	} {
		b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#filter').select()`), chromedp.KeyEvent(c.typed))
		b.until("the rows that match "+c.typed, `JSON.stringify(`+named+`.sort()) === '`+c.want+`'`)
	}
	b.until("the count to be told", `document.querySelector('#announce').textContent.startsWith('3 of 4')`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#filter').select()`), chromedp.KeyEvent(kb.Backspace))
	b.until("all rows", `document.querySelectorAll('#rows .row').length === 4`)

	for _, c := range []struct{ column, first string }{
		{"name", "billing/close-month"}, {"token", "billing/close-month"}, {"since", "deploy/api"}, {"waiting", "billing/close-month"}, {"who", "deploy/api"},
	} {
		b.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelector('.head [data-sort=%s]').click()`, c.column)))
		b.until("the rows by "+c.column, fmt.Sprintf(`%s[0] === %q && document.querySelector('[aria-sort] button').dataset.sort === %q`, named, c.first, c.column))
	}
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.head [data-sort=name]').click()`), chromedp.Evaluate[chromedp.Void](`document.querySelector('.head [data-sort=name]').click()`))
	b.until("the names downwards", named+`[0] === 'nightly/report' && document.querySelector('[aria-sort=descending] button').dataset.sort === 'name'`)
}

// TestEvictByKeyboard goes to a lock's page and evicts its holder without a mouse. What will be
// undone is said before, and the focus comes back.
func TestEvictByKeyboard(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	holder, next := s.session("hung@db-1:4711"), s.session("next@db-2:7")
	token := holder.hold("orders/ship")
	holder.append("orders/ship", token, "ship.log", "half of it")
	holder.append("orders/ship", token, "ship.log", "more")
	next.queue("orders/ship")
	b := open(t, s, "", "")
	b.until("the row", cell("orders/ship", "waiters")+` === '1'`)
	b.tabTo("a orders/ship")
	b.keys(kb.Enter)
	b.until("the lock's page", `!document.querySelector('#evict').hidden && document.querySelector('#holder').innerText.includes('2 records')`)
	if got := b.focused(); got != "#lock-name" {
		t.Errorf("the focus is on %s, want the lock's name", got)
	}
	b.picture("lock")
	b.tabTo("#evict")
	b.keys(kb.Enter)
	b.until("the dialog", `document.querySelector('#dialog').open`)
	if got := b.focused(); got != "#reason" {
		t.Errorf("the focus is on %s, want the reason", got)
	}
	says := get[string](b, `document.querySelector('#dialog').innerText`)
	for _, want := range []string{"hung@db-1:4711", strconv.FormatInt(token, 10), "2 staged records"} {
		if !strings.Contains(says, want) {
			t.Errorf("the dialog does not say %q: %s", want, says)
		}
	}
	b.keys(kb.Escape)
	b.until("the dialog to be closed", `!document.querySelector('#dialog').open`)
	if got := b.focused(); got != "#evict" {
		t.Errorf("after Escape the focus is on %s, want the button", got)
	}
	b.keys(kb.Enter)
	b.until("the dialog, closed and opened at once", `(document.querySelector('#cancel').click(), document.querySelector('#evict').click(), document.querySelector('#dialog').open)`)
	b.keys(kb.Enter) // in the empty reason
	b.until("to be asked for a reason", `document.querySelector('#dialog-fault').textContent === 'Give a reason.'`)
	b.keys("it hangs <b>since</b> noon", kb.Enter)
	b.until("to be asked to confirm", `document.querySelector('#dialog-fault').textContent.startsWith('Confirm')`)
	b.keys(" ")
	b.picture("evict")
	b.tabTo("#do-evict")
	b.keys(kb.Enter)
	b.until("the next to hold the lock", `document.querySelector('#holder').innerText.includes('next@db-2:7') && !document.querySelector('#dialog').open`)
	if told := get[string](b, `document.querySelector('#announce').textContent`); !strings.Contains(told, "Evicted hung@db-1:4711") {
		t.Errorf("who hears the page is told %q", told)
	}
	b.until("the event and its reason", `document.querySelector('#events').innerText.includes('it hangs <b>since</b> noon') && document.querySelector('#undone').innerText.includes('it hangs')`)
	b.picture("evicted")
	if err := holder.release("orders/ship", token, true); err == nil || !strings.Contains(err.Error(), "it hangs") {
		t.Errorf("the evicted holder's release: %v; want that it was evicted, and why", err)
	}

	// While the dialog is open, the lock passes on: nobody else is evicted.
	current := get[string](b, `[...document.querySelectorAll('#holder dt')].find(e => e.textContent === 'Token').nextSibling.textContent`)
	b.tabTo("#evict")
	b.keys(kb.Enter)
	b.until("the dialog", `document.querySelector('#dialog').open`)
	now, err := strconv.ParseInt(current, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if err := next.release("orders/ship", now, false); err != nil {
		t.Fatal(err)
	}
	third := holder.hold("orders/ship")
	b.until("to be told that the token has gone", `document.querySelector('#dialog-fault').textContent.includes('does not hold the lock any more') && document.querySelector('#do-evict').disabled`)
	b.allow("409")
	answer := get[string](b, fmt.Sprintf(`fetch('api/evict', {method: 'POST', headers: {'Content-Type': 'application/json'},
		body: JSON.stringify({lock: 'orders/ship', token: '%d', reason: 'late'})}).then(async r => r.status + ' ' + await r.text())`, now))
	if !strings.HasPrefix(answer, "409 ") {
		t.Errorf("an eviction by a token that has gone: %s; want 409", answer)
	}
	if err := holder.release("orders/ship", third, false); err != nil {
		t.Errorf("the holder that nobody was to evict: %v", err)
	}
}

// TestPermissions has somebody look who may see some locks and evict nobody, and then less.
func TestPermissions(t *testing.T) {
	t.Parallel()
	keys := newIssuer(t)
	policy := t.TempDir() + "/policy.yaml"
	rules := func(locks string) string {
		return fmt.Sprintf("rules:\n- {identity: %q, locks: [\"*\"], allow: [acquire, append, read, inspect, evict]}\n- {identity: %q, locks: [%s], allow: [inspect]}\n",
			"jwt:"+issuerName+"#owner", "jwt:"+issuerName+"#guest", locks)
	}
	write(t, policy, rules("shop"))
	s := startServer(t, keys.flags(policy)...)
	s.token = keys.token(t, "owner")
	owner := s.session("owner@shop:1")
	token := owner.hold("shop/orders")
	owner.hold("vault/keys")

	b := open(t, s, keys.token(t, "guest"), "")
	b.allow("403")
	b.until("the one row", live+` && document.querySelectorAll('#rows .row').length === 1 && `+row("shop/orders")+` !== null`)
	b.until("sums of what may be seen", `document.querySelector('#held').textContent === '1'`)
	if html := get[string](b, `document.documentElement.outerHTML`); strings.Contains(html, "vault") {
		t.Error("the page has a lock that its reader may not see")
	}
	for path, want := range map[string]string{
		"api/lock?name=vault/keys": "403 ", "api/files?name=shop/orders": "403 ", "api/locks?name=vault/keys": `200 {"now"`,
	} {
		got := get[string](b, fmt.Sprintf(`fetch(%q).then(async r => r.status + ' ' + await r.text())`, path))
		if !strings.HasPrefix(got, want) || strings.Contains(got, "owner@") {
			t.Errorf("%s: %s; want %s", path, got, want)
		}
	}
	b.do(chromedp.Evaluate[chromedp.Void](`location.hash = '#/lock/shop/orders'`))
	b.until("the lock without a way to evict", `document.querySelector('#evict').hidden && document.querySelector('#evict-not').textContent.includes('may not evict')`)
	b.picture("no-permission")
	refused := get[string](b, fmt.Sprintf(`fetch('api/evict', {method: 'POST', headers: {'Content-Type': 'application/json'},
		body: JSON.stringify({lock: 'shop/orders', token: '%d', reason: 'mine'})}).then(async r => r.status + ' ' + await r.text())`, token))
	if !strings.HasPrefix(refused, "403 ") {
		t.Errorf("an eviction by somebody who may not: %s", refused)
	}
	b.do(chromedp.Evaluate[chromedp.Void](`location.hash = '#/'`))
	b.until("the overview", row("shop/orders")+` !== null`)
	write(t, policy, rules("other"))
	began := time.Now()
	b.until("the row to be gone", `document.querySelectorAll('#rows .row').length === 0`)
	t.Logf("what may not be seen any more was gone %v after the policy was changed", time.Since(began))
	if err := owner.release("shop/orders", token, false); err != nil {
		t.Errorf("the holder that was not evicted: %v", err)
	}
}

// TestHostile shows what clients can choose: it stays text, and does not break the page.
func TestHostile(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	labels := []string{
		`<img src=x onerror="document.title='hacked'">`, `"><script>document.title='hacked'</script>`, "\u202egnp.exe", "a\u2066b\u2069c\u061c\u200fd",
		strings.Repeat("W", 128), strings.Repeat("e\u0301\u0327", 25), "שלום עולם", `{{constructor.constructor('x')()}}`,
	}
	for i, label := range labels {
		c := s.session(label)
		c.hold(fmt.Sprintf("hostile/%d", i))
		c.queue("hostile/queued")
	}
	long := strings.Repeat("very-long-name.", 17)[:255]
	s.session("long").hold(long)
	b := open(t, s, "", "")
	b.until("all rows", fmt.Sprintf(`document.querySelectorAll('#rows .row').length === %d`, len(labels)+2))
	b.picture("hostile")
	for i, label := range labels[:2] {
		if got := get[string](b, row(fmt.Sprintf("hostile/%d", i))+`.querySelector('.who bdi').textContent`); got != label {
			t.Errorf("label %q is shown as %q", label, got)
		}
	}
	if got := get[string](b, row("hostile/2")+`.querySelector('.who bdi').textContent`); strings.ContainsRune(got, '\u202e') {
		t.Errorf("what turns the direction of writing is shown as it is: %q", got)
	}
	if wide := get[int](b, `document.documentElement.scrollWidth - innerWidth`); wide > 0 {
		t.Errorf("the page is %d px wider than the window", wide)
	}
	if tall := get[bool](b, `[...document.querySelectorAll('#rows .row')].some(r => r.scrollHeight > r.clientHeight + 2)`); tall {
		t.Error("a label is taller than its row")
	}
	b.do(chromedp.Evaluate[chromedp.Void](`location.hash = '#/lock/hostile/queued'`))
	b.until("the queue", `document.querySelectorAll('#queue li').length >= 1`)
	if wide := get[int](b, `document.documentElement.scrollWidth - innerWidth`); wide > 0 {
		t.Errorf("the lock's page is %d px wider than the window", wide)
	}
	for _, hash := range []string{"#/lock/<img src=x onerror=alert(1)>", "#/lock/%", "#/lock/%3Cscript%3E", "#/lock/" + strings.Repeat("x", 10000)} {
		b.allow("400")
		b.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`location.hash = %q`, hash)))
		b.until("a name that none can have to be refused", `!document.querySelector('#lock-fault').hidden`)
	}
	if title := get[string](b, `document.title`); strings.Contains(title, "hacked") {
		t.Error("a label was run as a script")
	}
	if n := get[int](b, `document.querySelectorAll('main img, main script').length`); n != 0 {
		t.Errorf("%d elements were made of what clients chose", n)
	}
}

// TestManyLocks scrolls through many locks while some of them change.
func TestManyLocks(t *testing.T) {
	t.Parallel()
	locks := 10000
	if testing.Short() {
		locks = 2000
	}
	s := startServer(t)
	holder := s.session("many@batch:1")
	var taking sync.WaitGroup
	work := make(chan int)
	for range 32 {
		taking.Go(func() {
			for i := range work {
				if _, err := holder.acquire(fmt.Sprintf("many/%05d", i), fmt.Sprint(i+1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range locks {
		work <- i
	}
	close(work)
	taking.Wait()
	holder.requests = locks
	if t.Failed() {
		return
	}
	b := open(t, s, "", "")
	began := time.Now()
	b.until("all locks to be counted", fmt.Sprintf(`document.querySelector('#held').textContent.replaceAll(/\D/g, '') === '%d'`, locks))
	t.Logf("%d locks were on the page %v after it was open", locks, time.Since(began))
	if n := get[int](b, `document.querySelectorAll('#rows .row').length`); n > 100 {
		t.Errorf("there are elements for %d rows", n)
	}
	if n := get[int](b, `+document.querySelector('#grid').getAttribute('aria-rowcount')`); n != locks+1 {
		t.Errorf("the grid says that it has %d rows, want %d", n, locks+1)
	}
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.head [data-sort=name]').click()`))
	b.until("the first by name", named+`[0] === 'many/00000'`)
	stop := make(chan struct{})
	var churning sync.WaitGroup
	other := s.session("churn@batch:2")
	churning.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			other.requests++
			lock := fmt.Sprintf("churn/%d", i%50)
			if token, err := other.acquire(lock, fmt.Sprint(other.requests)); err == nil {
				_ = other.release(lock, token, false)
			}
		}
	})
	// Each frame scrolls on, for two seconds.
	frames := get[[]float64](b, `new Promise(done => {
		const box = document.querySelector('#scroll'), took = [];
		let last = performance.now(), began = last;
		const step = now => {
			took.push(now - last);
			last = now;
			box.scrollTop += 400;
			now - began < 2000 ? requestAnimationFrame(step) : done(took);
		};
		requestAnimationFrame(step);
	})`)
	close(stop)
	churning.Wait()
	slices.Sort(frames)
	middle, worst := frames[len(frames)/2], frames[len(frames)-1]
	t.Logf("%d frames while it scrolls and locks change: %.1f ms in the middle, %.1f ms at worst", len(frames), middle, worst)
	if *punctual && (middle > 20 || worst > 250) {
		t.Errorf("frames took %.1f ms in the middle and %.1f ms at worst", middle, worst)
	}
	b.picture("many")
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#rows a[tabindex="0"]').focus()`))
	b.keys(kb.End)
	b.until("the last row to have the focus", fmt.Sprintf(`document.activeElement.textContent === 'many/%05d' && +document.activeElement.closest('.row').getAttribute('aria-rowindex') === +document.querySelector('#grid').getAttribute('aria-rowcount')`, locks-1))
	b.keys(kb.ArrowUp, kb.ArrowUp)
	b.until("a row above it", fmt.Sprintf(`document.activeElement.textContent === 'many/%05d'`, locks-3))
}

// TestPhone looks at the page on a phone.
func TestPhone(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	holder := s.session("cron@a-host-with-quite-a-long-name.example.org:4711")
	token := holder.hold("orders/ship/eu-west-1")
	holder.append("orders/ship/eu-west-1", token, "log", "x")
	s.session("next@b").queue("orders/ship/eu-west-1")
	for i := range 12 {
		holder.hold(fmt.Sprintf("nightly/report-%d", i))
	}
	b := open(t, s, "", "")
	b.do(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulateScale(2)))
	b.until("cards", row("orders/ship/eu-west-1")+`?.clientHeight > 100`)
	b.picture("phone")
	b.until("everything of a card within it", `[...document.querySelectorAll('#rows .row')].every(r => r.scrollHeight <= r.clientHeight + 1 && r.scrollWidth <= r.clientWidth + 1)`)
	fits := `document.documentElement.scrollWidth <= innerWidth`
	if !get[bool](b, fits) {
		t.Error("the overview is wider than the phone")
	}
	b.do(chromedp.Evaluate[chromedp.Void](`(s => { s.value = 'name'; s.dispatchEvent(new Event('change')) })(document.querySelector('#sort'))`))
	b.until("the rows by name", named+`[0] === 'nightly/report-0'`)
	b.do(chromedp.Evaluate[chromedp.Void](`location.hash = '#/lock/orders/ship/eu-west-1'`))
	b.until("the lock's page", `!document.querySelector('#evict').hidden`)
	b.picture("phone-lock")
	if !get[bool](b, fits) {
		t.Error("the lock's page is wider than the phone")
	}
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#evict').click()`))
	b.until("the dialog to be in view", `(r => r.left >= 0 && r.right <= innerWidth && r.bottom <= innerHeight)(document.querySelector('#dialog').getBoundingClientRect())`)
	b.picture("phone-evict")
	small := get[[]string](b, `[...document.querySelectorAll('#dialog button, #dialog input[type=text]')].filter(e => e.getBoundingClientRect().height < 40).map(e => e.id)`)
	if len(small) > 0 {
		t.Errorf("too small for fingers: %v", small)
	}
}

// TestNumbersEqualStatus holds every number on the page against `dlm status --json`.
func TestNumbersEqualStatus(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	for i := range 9 {
		c := s.session(fmt.Sprintf("holder@host-%d:%d", i, i))
		lock := fmt.Sprintf("n/%d", i)
		token := c.hold(lock)
		for j := range i % 4 {
			c.append(lock, token, "log", strings.Repeat("x", j))
		}
		for range i % 3 {
			s.session("waiter").queue(lock)
		}
	}
	b := open(t, s, "", "")
	b.until("all waiters", `document.querySelector('#held').textContent === '9' && document.querySelector('#waiting').textContent === '9'`)
	b.until("what is staged", cell("n/7", "staged")+` === '3'`)
	var status []struct {
		Name   string
		Holder struct {
			Session, Label, Token string
			Since                 time.Time
		}
		Waiters       []struct{ Since time.Time }
		QueueLength   int
		StagedRecords string
	}
	text := s.dlm("status", "--json")
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if len(status) != 9 {
		t.Fatalf("status lists %d locks", len(status))
	}
	sum := 0
	for _, l := range status {
		sum += l.QueueLength
		staged := l.StagedRecords
		if staged == "" {
			staged = "0"
		}
		oldest := int64(0)
		if len(l.Waiters) > 0 {
			oldest = l.Waiters[0].Since.UnixMilli()
		}
		want := fmt.Sprint(l.Name, " ", l.Holder.Label, " ", l.Holder.Token, " ", l.QueueLength, " ", staged, " ", l.Holder.Since.UnixMilli(), " ", oldest)
		got := get[string](b, fmt.Sprintf(`(r => [r.dataset.lock, r.querySelector('.who bdi').textContent, r.querySelector('.token').textContent,
			r.querySelector('.waiters span:last-child').textContent, r.querySelector('.staged span:last-child').textContent, r.row.holder.since, r.row.oldest].join(' '))(%s)`, row(l.Name)))
		if got != want {
			t.Errorf("the page says  %s\nstatus says %s", got, want)
		}
	}
	if got := get[string](b, `document.querySelector('#waiting').textContent`); got != fmt.Sprint(sum) {
		t.Errorf("%s wait on the page, %d by status", got, sum)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	list, err := s.api.List(ctx, &dlmv1.ListRequest{})
	if err != nil || len(list.GetLocks()) != 9 {
		t.Fatalf("List: %v", err)
	}
}

// TestHeard is what a screen reader is told.
func TestHeard(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := s.session("cron@db-1:4711")
	c.hold("nightly/report")
	b := open(t, s, "", "")
	b.until("the row", live+` && `+row("nightly/report")+` !== null`)
	says := "\n" + b.heard()
	for _, want := range []string{
		"\nRootWebArea Locks", "\nbanner", "\nmain", "\nsearchbox Filter by lock, holder or identity", "\ngrid Locks in use", "\ncolumnheader Lock", "\ncolumnheader Oldest wait",
		"\nrow ", "\ngridcell nightly/report", "\nlink nightly/report", "\ngridcell cron@db-1:4711", "\nstatus", "\nheading Locks in use",
	} {
		if !strings.Contains(says, want) {
			t.Errorf("a screen reader is not told of %q", strings.TrimSpace(want))
		}
	}
	if t.Failed() {
		t.Log(says)
	}
	b.do(chromedp.Evaluate[chromedp.Void](`location.hash = '#/lock/nightly/report'`))
	b.until("the lock's page", `!document.querySelector('#evict').hidden`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#evict').click()`))
	b.until("the dialog", `document.querySelector('#dialog').open`)
	says = "\n" + b.heard()
	for _, want := range []string{"\ndialog Evict the holder of nightly/report", "\ntextbox Reason", "\ncheckbox Take the lock away", "\nbutton Cancel", "\nbutton Evict token "} {
		if !strings.Contains(says, want) {
			t.Errorf("in the dialog a screen reader is not told of %q:\n%s", strings.TrimSpace(want), says)
		}
	}
	// Colours have enough contrast, by the rule for them, in light and in dark.
	for _, scheme := range []string{"light", "dark"} {
		b.prefer("prefers-color-scheme", scheme)
		poor := get[[]string](b, contrast)
		if len(poor) > 0 {
			t.Errorf("too little contrast in %s: %v", scheme, poor)
		}
	}
}

// contrast is a script that names what has less contrast than 4.5 : 1 to what is behind it.
const contrast = `(() => {
	const parse = c => (c.match(/[\d.]+/g) || []).map(Number);
	const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const behind = e => {
		for (; e; e = e.parentElement) {
			const c = parse(getComputedStyle(e).backgroundColor);
			if (c.length === 3 || c[3] === 1) return c;
		}
		return [255, 255, 255];
	};
	const poor = [];
	for (const e of document.querySelectorAll('body *')) {
		if (!e.checkVisibility() || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
		const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05);
		if (ratio < 4.5 && !e.closest(':disabled')) poor.push((e.id || e.className || e.tagName) + ' ' + ratio.toFixed(2));
	}
	return poor;
})()`
