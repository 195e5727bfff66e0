package facade

// RefuseCalls makes the server take no more calls, as Shutdown does, and ends none of those in progress.
func (s *Server) RefuseCalls() {
	s.drain.mu.Lock()
	defer s.drain.mu.Unlock()
	s.drain.closed = true
}
