package coursework

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	pb "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
)

// Store is what the service needs of an etcdstore.Store.
type Store interface {
	Init(ctx context.Context, args etcdstore.InitArgs) (etcdstore.Session, error)
	Heartbeat(ctx context.Context, args etcdstore.HeartbeatArgs) (etcdstore.Renewal, error)
	CloseSession(ctx context.Context, credential string) error
	Acquire(ctx context.Context, args etcdstore.AcquireArgs) (etcdstore.Grant, error)
	Release(ctx context.Context, section etcdstore.Section) error
	Append(ctx context.Context, record etcdstore.Record) (rev int64, err error)
	Staged(ctx context.Context, lock string, token int64, requests []string) ([]bool, error)
	Holder(ctx context.Context, lock string) (*etcdstore.Holder, error)
	Credential(session, owner string) string
	SessionLives(ctx context.Context, session string) (bool, error)

	NewClient(ctx context.Context, record []byte) (etcdstore.Client, error)
	Client(ctx context.Context, id int32) (etcdstore.Client, error)
	SaveClient(ctx context.Context, c etcdstore.Client) (etcdstore.Client, error)
	DeleteClient(ctx context.Context, id int32) error
	ForgetClient(ctx context.Context, c etcdstore.Client) error
	Clients(ctx context.Context) iter.Seq2[etcdstore.Client, error]
	BareClients() bool
}

// Config is what a service is made of.
type Config struct {
	Store  Store
	Logger *slog.Logger  // nil: discards
	Lock   string        // the one lock
	TTL    time.Duration // how long a client outlives its last call
	Hold   time.Duration // how long a client may hold the lock, counted from the grant; 0: for ever
}

// Service implements lock_service.LockService. It is safe for concurrent use.
type Service struct {
	pb.UnimplementedLockServiceServer
	store Store
	log   *slog.Logger
	lock  string
	ttl   time.Duration
	hold  time.Duration
}

// New returns a service.
func New(cfg Config) *Service {
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Service{store: cfg.Store, log: log, lock: cfg.Lock, ttl: cfg.TTL, hold: cfg.Hold}
}

// Lock is the one lock's name.
func (s *Service) Lock() string { return s.lock }

// Files is how many files there are: file_0 and on.
const Files = 100

var fileName = regexp.MustCompile(`^file_(0|[1-9][0-9]?)$`)

// ClientInit begins a client and returns its number. A repeat begins another.
func (s *Service) ClientInit(ctx context.Context, _ *pb.Int) (*pb.Int, error) {
	session, err := s.begin(ctx, 0)
	if err != nil {
		return nil, err
	}
	record, err := s.marshal(record{Session: session.Credential, Owner: etcdstore.OwnerOf(ctx)})
	if err != nil {
		return nil, err
	}
	c, err := s.store.NewClient(ctx, record)
	if err != nil {
		return nil, err
	}
	return &pb.Int{Rc: c.ID}, nil
}

// begin begins a session for a client; number 0: a client that has no number yet.
func (s *Service) begin(ctx context.Context, number int32) (etcdstore.Session, error) {
	return s.store.Init(ctx, etcdstore.InitArgs{TTL: s.ttl, Label: label(number)})
}

// label returns what operators see of a client.
func label(number int32) string {
	if number == 0 {
		return "coursework client"
	}
	return "coursework client " + strconv.Itoa(int(number))
}

// ClientClose ends a client: what it holds is undone and passed on. A repeat succeeds. A client of
// another identity is not ended, which is an error: there is no status in the response.
func (s *Service) ClientClose(ctx context.Context, req *pb.Int) (*pb.Int, error) {
	c, err := s.load(ctx, req.GetRc())
	if errors.Is(err, errUnknown) {
		return &pb.Int{}, nil
	}
	if err == nil {
		err = c.own(ctx)
	}
	if err != nil {
		return nil, err
	}
	// A call of the client that waits would begin another session as long as there is a client.
	if err := s.store.DeleteClient(ctx, req.GetRc()); err != nil {
		return nil, err
	}
	return &pb.Int{}, s.store.CloseSession(ctx, c.credential)
}

// Heartbeat keeps a client alive, as every other call of it does. The response is TIMEOUT_ERROR
// only if the client held the lock, has lost it and does not know, since clients of this API then
// hang up for good.
func (s *Service) Heartbeat(ctx context.Context, req *pb.Heartbeat) (*pb.Response, error) {
	this := asked{method: "heartbeat", client: req.GetClientId()}
	c, err := s.caller(ctx, this.client)
	if err != nil {
		return s.answer(ctx, this, 0, err)
	}
	if c.Held == 0 || c.Held == c.Missed {
		return s.answer(ctx, this, 0, nil)
	}
	held, err := s.held(ctx, c)
	if err == nil && held.token != c.Held {
		err = etcdstore.ErrLockExpired
	}
	return s.answer(ctx, this, 0, err)
}

// GetCurrentLockHolder returns the number of the client that holds the lock; 0: nobody, -1: no
// client of this API.
func (s *Service) GetCurrentLockHolder(ctx context.Context, req *pb.CurrentLockHolder) (*pb.Response, error) {
	if _, err := s.caller(ctx, req.GetClientId()); err != nil && !errors.Is(err, errUnknown) && !errors.Is(err, etcdstore.ErrNotOwner) {
		return nil, err
	}
	number, err := s.holder(ctx)
	if err != nil {
		return nil, err
	}
	return &pb.Response{CurrentLockHolder: &pb.CurrentLockHolder{ClientId: number}}, nil
}

// holder returns the holder's number; 0: nobody, -1: no client of this API.
func (s *Service) holder(ctx context.Context) (int32, error) {
	h, err := s.store.Holder(ctx, s.lock)
	if err != nil || h == nil {
		return 0, err
	}
	number, _, ok := parseRequest(h.Request)
	if !ok {
		return -1, nil
	}
	c, err := s.load(ctx, number) // anybody may choose such a request: the session decides
	switch {
	case errors.Is(err, errUnknown):
		return -1, nil
	case err != nil:
		return 0, err
	case c.id != h.Session:
		return -1, nil
	}
	return number, nil
}

// hold is the lock in a client's hands.
type hold struct {
	token   int64  // 0: it does not hold
	counter uint64 // of the acquire that brought it; 0: it has none
}

// held returns what a client holds now, and settles its place if that is how it got it.
func (s *Service) held(ctx context.Context, c *caller) (hold, error) {
	h, err := s.store.Holder(ctx, s.lock)
	if err != nil || h == nil || h.Session != c.id {
		return hold{}, err
	}
	number, n, ok := parseRequest(h.Request)
	if !ok || number != c.ID {
		return hold{}, nil
	}
	c.settle(h.Request, h.Token)
	return hold{token: h.Token, counter: n}, nil
}

// request returns the store's id of a client's acquire: "c<client>.<counter or hash>.<era>".
func (c *caller) request(id string) string {
	name := "h" + hashed(id)
	if n, ok := counter(c.ID, id); ok {
		name = strconv.FormatUint(n, 10)
	}
	return fmt.Sprintf("c%d.%s.%d", c.ID, name, c.Era)
}

// parseRequest takes such an id apart; n is 0 for an opaque one. Whatever request does not make is
// not ok.
func parseRequest(request string) (number int32, n uint64, ok bool) {
	parts := requestForm.FindStringSubmatch(request)
	if parts == nil {
		return 0, 0, false
	}
	id, err := strconv.ParseInt(parts[1], 10, 32)
	if err != nil {
		return 0, 0, false
	}
	if _, err := strconv.Atoi(parts[3]); err != nil {
		return 0, 0, false
	}
	n, counted := parseCounter(parts[2])
	if !counted && parts[2][0] != 'h' {
		return 0, 0, false
	}
	return int32(id), n, true
}

var requestForm = regexp.MustCompile(`^c([1-9][0-9]*)\.([1-9][0-9]*|h[0-9a-f]{32})\.(0|[1-9][0-9]*)$`)

// hashed returns 32 characters that stand for an id of any length and content.
func hashed(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}

// Ping returns "OK" if this server can commit now. Otherwise it fails after pingTime: its clients
// ask again at once.
func (s *Service) Ping(ctx context.Context, _ *pb.Empty) (*pb.PingResponse, error) {
	limit := time.NewTimer(pingTime)
	defer limit.Stop()
	asking, cancel := context.WithTimeoutCause(ctx, pingTime, etcdstore.ErrNoQuorum)
	defer cancel()
	_, err := s.store.Holder(asking, s.lock)
	if err == nil {
		return &pb.PingResponse{Status: "OK"}, nil
	}
	select {
	case <-limit.C:
	case <-ctx.Done():
	}
	return nil, fmt.Errorf("%w: %w", etcdstore.ErrNoQuorum, err)
}

const pingTime = time.Second

// file returns the store's name of a file, without the path before it, and reports whether there is
// such a file.
func file(name string) (string, bool) {
	name = name[strings.LastIndexByte(name, '/')+1:]
	return name, fileName.MatchString(name)
}

// asked is whose call of which method is answered.
type asked struct {
	method string
	client int32
	id     string
}

// answer returns the response to a call:
//
//   - SUCCESS: no error.
//   - TIMEOUT_ERROR: the lock is not held, or not any more.
//   - FILE_ERROR: the call makes no sense, asks for too much, or is made by another than the client
//     that it names. Why, the log says: there is no room for it in the response. It is never an
//     error, which clients of this API take for a server that is away.
//   - err, and no response: not here, or not now; a repeat may succeed.
func (s *Service) answer(ctx context.Context, to asked, version int64, err error) (*pb.Response, error) {
	switch {
	case err == nil:
		return &pb.Response{Status: pb.Status_SUCCESS, Version: version}, nil
	case errors.Is(err, etcdstore.ErrLockExpired), errors.Is(err, etcdstore.ErrOutcomeUnknown), errors.Is(err, etcdstore.ErrSessionExpired):
		return &pb.Response{Status: pb.Status_TIMEOUT_ERROR}, nil
	case errors.Is(err, errUnknown), errors.Is(err, etcdstore.ErrNotOwner), errors.Is(err, errRefused), errors.Is(err, etcdstore.ErrTooLarge),
		errors.Is(err, etcdstore.ErrQuota), errors.Is(err, etcdstore.ErrNoSpace):
		s.log.InfoContext(ctx, "refused with FILE_ERROR", "method", to.method, "client", to.client, "request", kept(to.id), "err", err)
		return &pb.Response{Status: pb.Status_FILE_ERROR}, nil
	}
	return nil, err
}

// errRefused is the error of a call that makes no sense, now or ever.
var errRefused = errors.New("refused")

// refusedf returns an errRefused that says why. Names are to be quoted, and cut: they may be long.
func refusedf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errRefused}, args...)...)
}
