package scenario

import "strings"

// token is a piece of CEL text: as much of its grammar as is needed to tell names and braces from the text of strings.
type token struct {
	kind       tokenKind
	start, end int
}

type tokenKind int

const (
	otherToken  tokenKind = iota // one byte
	nameToken                    // an identifier or keyword
	stringToken                  // a string or bytes literal
	commentToken
)

// nextToken returns the token of s that begins at i.
func nextToken(s string, i int) token {
	c := s[i]
	switch {
	case nameByte(c) && (c < '0' || c > '9'):
		end := i + 1
		for end < len(s) && nameByte(s[end]) {
			end++
		}
		if end < len(s) && (s[end] == '"' || s[end] == '\'') && stringPrefix(s[i:end]) {
			raw := strings.ContainsAny(s[i:end], "rR")
			return token{stringToken, i, stringEnd(s, end, raw)}
		}
		return token{nameToken, i, end}
	case c == '"' || c == '\'':
		return token{stringToken, i, stringEnd(s, i, false)}
	case strings.HasPrefix(s[i:], "//"):
		if n := strings.IndexByte(s[i:], '\n'); n >= 0 {
			return token{commentToken, i, i + n}
		}
		return token{commentToken, i, len(s)}
	}
	return token{otherToken, i, i + 1}
}

func nameByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// stringPrefix says whether s before a quote makes it a raw string or bytes.
func stringPrefix(s string) bool {
	switch strings.ToLower(s) {
	case "r", "b", "br", "rb":
		return true
	}
	return false
}

// stringEnd returns where the literal whose opening quote is at i ends; the end of s if it never does.
func stringEnd(s string, i int, raw bool) int {
	quote := s[i : i+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(s[i:], triple) {
		quote = triple
	}
	for j := i + len(quote); j < len(s); j++ {
		switch {
		case s[j] == '\\' && !raw:
			j++
		case strings.HasPrefix(s[j:], quote):
			return j + len(quote)
		}
	}
	return len(s)
}

// closingBrace returns where the } stands that ends the CEL beginning at i; -1 if none does.
func closingBrace(s string, i int) int {
	depth := 0
	for i < len(s) {
		switch s[i] { // a brace within a string or comment does not begin a token
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return i
			}
			depth--
		}
		i = nextToken(s, i).end
	}
	return -1
}

// letName stands for let in what the CEL parser sees, to which let is a reserved word. It is as long, so that columns stay.
const letName = "Let"

// escapeLet makes let.name an ordinary selection.
func escapeLet(s string) string {
	if !strings.Contains(s, "let") {
		return s
	}
	var out strings.Builder
	afterDot := false
	for i := 0; i < len(s); {
		t := nextToken(s, i)
		text := s[t.start:t.end]
		if t.kind == nameToken && text == "let" && !afterDot {
			out.WriteString(letName)
		} else {
			out.WriteString(text)
		}
		if strings.TrimSpace(text) != "" && t.kind != commentToken {
			afterDot = text == "."
		}
		i = t.end
	}
	return out.String()
}
