package linux

// Errno is an error of a socket call, by its name in errno(3).
type Errno string

// Error is the name.
func (e Errno) Error() string { return string(e) }

// Errors that sockets report.
const (
	ECONNREFUSED  Errno = "ECONNREFUSED"
	ECONNRESET    Errno = "ECONNRESET"
	ETIMEDOUT     Errno = "ETIMEDOUT"
	EHOSTUNREACH  Errno = "EHOSTUNREACH"
	ENETUNREACH   Errno = "ENETUNREACH"
	EADDRNOTAVAIL Errno = "EADDRNOTAVAIL"
	EADDRINUSE    Errno = "EADDRINUSE"
	ECONNABORTED  Errno = "ECONNABORTED"
)
