// Package engine runs a world in virtual time: one thread, a queue of events in a total order, named streams of chance.
//
// Models: time (from 0 at the start of the world), the order of events (by time, then by the order in which they were scheduled), chance
// (streams of math/rand/v2 seeded by name, so that a new draw in one stream shifts nothing in another), and causes: each event
// remembers the record of the trace that was current when it was scheduled.
//
// Two drivers run the same engine: Run jumps from event to event (virtual), Paced waits for a wall clock and lets outside callers in
// through one door. Nothing else under sim/ may use a clock, a goroutine, a lock or global randomness; a test that parses the source holds it.
//
// Straight-line code that waits (an API client, a controller's loop, a person at a shell) is written as a Process, a coroutine
// that the engine resumes; it never runs in parallel with anything.
//
// Does not model: parallelism, clock skew between hosts.
package engine
