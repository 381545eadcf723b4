// Package observe is the vocabulary that both backends speak, and the arithmetic from what was captured to what was observed.
//
// A backend hands over what an engineer would gather: packets as captures on interfaces show them, what the client's own command said, and the answers
// of the APIs. Nothing here knows how a backend came by them, and nothing in a backend counts.
package observe
