package facade

import (
	"context"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// service implements the calls of dlm.v1: each decodes, makes one call of the store, and encodes.
type service struct {
	dlmv1.UnimplementedLockServiceServer
	store   Store
	logger  *slog.Logger
	drain   *drain
	limiter *limiter
	gate    *gate
	called  func(Called) // nil: nobody is told
	tracer  trace.Tracer // nil: nothing is traced
}

func (s *service) Init(ctx context.Context, req *dlmv1.InitRequest) (*dlmv1.InitResponse, error) {
	return s.initOver(ctx, nil, req)
}

// initOver is Init that came by a link; nil: by a call of its own.
func (s *service) initOver(ctx context.Context, link *etcdstore.Link, req *dlmv1.InitRequest) (*dlmv1.InitResponse, error) {
	ttl, err := decodeTTL(req.GetTtl())
	if err != nil {
		return nil, err
	}
	linger, err := decodeLinger(req.GetLinger())
	if err != nil {
		return nil, err
	}
	session, err := s.store.Init(ctx, etcdstore.InitArgs{
		TTL: ttl, Label: req.GetLabel(), Link: link, TakesLost: req.GetTakesLost(), Linger: linger, Seen: decodeSeen(req.GetSeen()),
	})
	if err != nil {
		return nil, err
	}
	return &dlmv1.InitResponse{
		Session: session.Credential, Ttl: durationpb.New(session.TTL), Id: session.ID, Cluster: session.Cluster, Revision: session.Revision,
	}, nil
}

func (s *service) Heartbeat(ctx context.Context, req *dlmv1.HeartbeatRequest) (*dlmv1.HeartbeatResponse, error) {
	return s.heartbeatOver(ctx, nil, req)
}

// heartbeatOver is Heartbeat that came by a link; nil: by a call of its own.
func (s *service) heartbeatOver(
	ctx context.Context, link *etcdstore.Link, req *dlmv1.HeartbeatRequest,
) (*dlmv1.HeartbeatResponse, error) {
	unfinished := make([]etcdstore.Acquisition, len(req.GetUnfinished()))
	for i, a := range req.GetUnfinished() {
		unfinished[i] = etcdstore.Acquisition{Lock: a.GetLock(), Request: a.GetRequest()}
	}
	renewal, err := s.store.Heartbeat(ctx, etcdstore.HeartbeatArgs{
		Credential: req.GetSession(), Highest: req.GetHighestRequest(), Unfinished: unfinished, Link: link,
		Attachment: req.GetAttachment(), TakesLost: req.GetTakesLost(), Seen: decodeSeen(req.GetSeen()),
	})
	if err != nil {
		return nil, err
	}
	return &dlmv1.HeartbeatResponse{
		Ttl: durationpb.New(renewal.TTL), States: encodeAll(renewal.States, encodeState), Revision: renewal.Revision,
		Cluster: renewal.Cluster, Attachment: renewal.Attachment,
	}, nil
}

func (s *service) Close(ctx context.Context, req *dlmv1.CloseRequest) (*dlmv1.CloseResponse, error) {
	if err := s.store.CloseSession(ctx, req.GetSession()); err != nil {
		return nil, err
	}
	return &dlmv1.CloseResponse{}, nil
}

func (s *service) Acquire(ctx context.Context, req *dlmv1.AcquireRequest) (*dlmv1.AcquireResponse, error) {
	return await(ctx, s.startAcquire, req)
}

func (s *service) Cancel(ctx context.Context, req *dlmv1.CancelRequest) (*dlmv1.CancelResponse, error) {
	token, err := s.store.Cancel(ctx, req.GetSession(),
		etcdstore.Acquisition{Lock: req.GetLock(), Request: req.GetRequest()})
	if err != nil {
		return nil, err
	}
	return &dlmv1.CancelResponse{Token: token}, nil
}

func (s *service) Release(ctx context.Context, req *dlmv1.ReleaseRequest) (*dlmv1.ReleaseResponse, error) {
	return await(ctx, s.startRelease, req)
}

func (s *service) Commit(ctx context.Context, req *dlmv1.CommitRequest) (*dlmv1.CommitResponse, error) {
	token, err := s.store.Commit(ctx, decodeSection(req))
	if err != nil {
		return nil, err
	}
	return &dlmv1.CommitResponse{Token: token}, nil
}

func (s *service) Discard(ctx context.Context, req *dlmv1.DiscardRequest) (*dlmv1.DiscardResponse, error) {
	published, err := s.store.Discard(ctx, decodeSection(req))
	if err != nil {
		return nil, err
	}
	return &dlmv1.DiscardResponse{Published: published}, nil
}

func (s *service) Append(ctx context.Context, req *dlmv1.AppendRequest) (*dlmv1.AppendResponse, error) {
	return await(ctx, s.startAppend, req)
}

func (s *service) Publish(ctx context.Context, req *dlmv1.PublishRequest) (*dlmv1.PublishResponse, error) {
	return await(ctx, s.startPublish, req)
}

func (s *service) Withdraw(ctx context.Context, req *dlmv1.WithdrawRequest) (*dlmv1.WithdrawResponse, error) {
	p, err := s.store.Withdraw(ctx, req.GetLock(), decodePublishID(req))
	if err != nil {
		return nil, err
	}
	return &dlmv1.WithdrawResponse{Published: encodeVersion(p.Version)}, nil
}

func (s *service) Read(ctx context.Context, req *dlmv1.ReadRequest) (*dlmv1.ReadResponse, error) {
	piece, err := s.store.Read(ctx, etcdstore.ReadArgs{
		Lock: req.GetLock(), File: req.GetFile(), Offset: req.GetOffset(), Limit: int(req.GetLimit()), Life: decodeVersion(req.GetLife()),
	})
	if err != nil {
		return nil, err
	}
	return &dlmv1.ReadResponse{
		Data: piece.Data, Size: piece.Size, Token: piece.Token, Version: encodeVersion(piece.Version()), Start: piece.Start, Life: encodeVersion(piece.Life),
	}, nil
}

func (s *service) ListFiles(ctx context.Context, req *dlmv1.ListFilesRequest) (*dlmv1.ListFilesResponse, error) {
	files, next, err := s.store.ListFiles(ctx, req.GetLock(), int(req.GetPageSize()), req.GetPageToken())
	if err != nil {
		return nil, err
	}
	return &dlmv1.ListFilesResponse{Files: encodeAll(files, encodeFile), NextPageToken: next}, nil
}

func (s *service) Inspect(ctx context.Context, req *dlmv1.InspectRequest) (*dlmv1.InspectResponse, error) {
	lock, err := s.store.Inspect(ctx, req.GetLock())
	if err != nil {
		return nil, err
	}
	return &dlmv1.InspectResponse{Lock: encodeLock(lock)}, nil
}

func (s *service) InspectCluster(ctx context.Context, _ *dlmv1.InspectClusterRequest) (*dlmv1.InspectClusterResponse, error) {
	info, err := s.store.InspectCluster(ctx)
	if err != nil {
		return nil, err
	}
	return encodeCluster(info), nil
}

func (s *service) List(ctx context.Context, req *dlmv1.ListRequest) (*dlmv1.ListResponse, error) {
	if !s.gate.sees(ctx, req.GetPrefix()) {
		return &dlmv1.ListResponse{}, nil
	}
	owner := req.GetIdentity()
	if req.GetMine() {
		if owner != "" {
			return nil, fmt.Errorf("%w: mine and an identity exclude each other", etcdstore.ErrInvalidArgument)
		}
		if owner = etcdstore.OwnerOf(ctx); owner == "" {
			return nil, fmt.Errorf("%w: nothing is the caller's own: this server does not know who calls", etcdstore.ErrInvalidArgument)
		}
	}
	page, err := s.store.Select(ctx, etcdstore.Selection{
		Prefix: req.GetPrefix(), Session: req.GetSession(), Owner: owner, Limit: int(req.GetPageSize()), After: req.GetPageToken(),
	})
	if err != nil {
		return nil, err
	}
	return &dlmv1.ListResponse{Locks: encodeAll(page.Locks, encodeLock), NextPageToken: page.Next, Revision: page.Revision}, nil
}

func (s *service) Evict(ctx context.Context, req *dlmv1.EvictRequest) (*dlmv1.EvictResponse, error) {
	evicted, err := s.store.Evict(ctx, req.GetLock(), req.GetToken(), req.GetReason())
	if err != nil {
		return nil, err
	}
	return &dlmv1.EvictResponse{Evicted: encodeHolder(evicted)}, nil
}

func (s *service) ListProblems(ctx context.Context, req *dlmv1.ListProblemsRequest) (*dlmv1.ListProblemsResponse, error) {
	problems, next, err := s.store.Problems(ctx, req.GetPageToken())
	if err != nil {
		return nil, err
	}
	met := s.store.Faults()
	return &dlmv1.ListProblemsResponse{
		Problems: encodeAll(problems, encodeProblem), NextPageToken: next, Met: count(met.Malformed), Panics: met.Panics,
	}, nil
}

func (s *service) Repair(ctx context.Context, req *dlmv1.RepairRequest) (*dlmv1.RepairResponse, error) {
	removed, err := s.store.Repair(ctx, string(req.GetKey()), req.GetRevision())
	if err != nil {
		return nil, err
	}
	return &dlmv1.RepairResponse{Removed: removed}, nil
}

func (s *service) SetRetention(ctx context.Context, req *dlmv1.SetRetentionRequest) (*dlmv1.SetRetentionResponse, error) {
	r, err := decodeRetention(req.GetRetention())
	if err != nil {
		return nil, err
	}
	if err := s.store.SetRetention(ctx, r); err != nil {
		return nil, err
	}
	return &dlmv1.SetRetentionResponse{}, nil
}

func (s *service) ListRetention(ctx context.Context, _ *dlmv1.ListRetentionRequest) (*dlmv1.ListRetentionResponse, error) {
	all, err := s.store.Retentions(ctx)
	if err != nil {
		return nil, err
	}
	return &dlmv1.ListRetentionResponse{Retentions: encodeAll(all, encodeRetention)}, nil
}
