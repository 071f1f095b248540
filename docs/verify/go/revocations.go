package main

import (
	"context"
	"errors"
	"log"
	"net/url"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "example.com/whoami/gen/symbolon/auth/v1"
)

const (
	silence = 40 * time.Second // a heartbeat comes every 15 s: after this the connection is dead
	stale   = 60 * time.Second // after so long without the feed nobody is let in
)

var errRevoked = errors.New("revoked")

// revocations is what is no longer to be trusted, as the feed tells it.
type revocations struct {
	mu    sync.RWMutex
	until map[string]time.Time // by session id or key id: when its last token has died
	heard time.Time            // when the feed last said that this is everything
}

// watch follows the feed for ever.
func watch(ctx context.Context, address, secret string) (*revocations, error) {
	server, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	transport := insecure.NewCredentials() // on this machine only: the secret must not cross a network in plaintext
	if server.Scheme == "https" {
		transport = credentials.NewTLS(nil)
	}
	retry := backoff.Config{BaseDelay: time.Second, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second}
	connection, err := grpc.NewClient(server.Host, grpc.WithTransportCredentials(transport),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: retry, MinConnectTimeout: 5 * time.Second}))
	if err != nil {
		return nil, err
	}
	if secret != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+secret)
	}
	held := &revocations{until: map[string]time.Time{}}
	go func() {
		for cursor := ""; ; time.Sleep(time.Second) {
			cursor = held.follow(ctx, pb.NewAuthServiceClient(connection), cursor)
		}
	}()
	return held, nil
}

// follow reads one stream to its end and returns where to go on.
func (r *revocations) follow(ctx context.Context, client pb.AuthServiceClient, cursor string) string {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(silence, cancel)
	defer watchdog.Stop()
	stream, err := client.WatchRevocations(ctx, &pb.WatchRevocationsRequest{Cursor: cursor})
	for complete := false; err == nil; {
		var event *pb.WatchRevocationsResponse
		if event, err = stream.Recv(); err != nil {
			break
		}
		watchdog.Reset(silence)
		// The end of the snapshot, or the heartbeat after what came behind the cursor: from here on nothing is missing.
		complete = complete || event.GetSnapshotEnd() != nil || event.GetHeartbeat() != nil
		r.take(event.GetRevocations(), complete)
		if event.Cursor != "" {
			cursor = event.Cursor
		}
	}
	log.Printf("the feed of revocations ended: %v", err)
	if status.Code(err) == codes.OutOfRange {
		return "" // from the beginning; what is held stays
	}
	return cursor
}

func (r *revocations) take(news *pb.Revocations, complete bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, session := range news.GetSessions() {
		r.until[session.SessionId] = session.ExpireTime.AsTime()
	}
	for _, key := range news.GetKeys() {
		r.until[key.KeyId] = key.ExpireTime.AsTime()
	}
	if complete {
		r.heard = time.Now()
		for id, until := range r.until {
			if until.Before(r.heard) {
				delete(r.until, id)
			}
		}
	}
}

// check refuses what is revoked, and does not know when it has not heard of the feed.
func (r *revocations) check(ids ...string) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, id := range ids {
		if _, revoked := r.until[id]; revoked {
			return errRevoked
		}
	}
	if time.Since(r.heard) > stale {
		return errUndecided
	}
	return nil
}
