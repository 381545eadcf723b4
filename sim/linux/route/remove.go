package route

// DeleteDevice removes the routes that lead through a device, from all tables.
func (d *Database) DeleteDevice(index int) {
	for _, t := range d.tables { // the order is of no effect
		for i := range t.lengths {
			for k, r := range t.lengths[i].routes {
				if r.Dev == index {
					delete(t.lengths[i].routes, k)
				}
			}
		}
	}
}
