package linux

import "time"

// wheel rounds timeouts as the kernel's timer wheel does: the farther away a timer is, the coarser the slot that it is put into, and it
// never fires early. So a retransmission after nominally 32 s may come after 33.
// Source: Linux kernel/time/timer.c, calc_wheel_index: levels of 64 slots, each 8 times coarser than the one below.
type wheel struct {
	tick  time.Duration // 1/CONFIG_HZ; zero is an ideal clock
	phase time.Duration // how long the host had run when the world began
}

const (
	wheelSlots    = 64
	wheelShift    = 3
	wheelLevels   = 9
	maxLevelTicks = 1 << (wheelShift * 5) // the coarsest granularity that timeouts up to an hour meet
)

// expiry is when a timer that is set at a time for a timeout fires.
func (w wheel) expiry(now, timeout time.Duration) time.Duration {
	if w.tick == 0 || timeout <= 0 {
		return now + timeout
	}
	// Jiffies round a timeout up, and the timer's base is the jiffy that is passing.
	base := int64((now + w.phase) / w.tick)
	ticks := int64((timeout + w.tick - 1) / w.tick)
	expires := base + ticks
	level := 0
	for level < wheelLevels-1 && ticks >= (wheelSlots-1)<<(wheelShift*level) {
		level++
	}
	shift := wheelShift * level
	slot := (expires >> shift) + 1
	return max(time.Duration(slot<<shift)*w.tick-w.phase, now)
}
