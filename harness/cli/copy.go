package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ekslab/ekslab/harness/report"
	"github.com/ekslab/ekslab/harness/run"
)

func (a *app) copy() *cobra.Command {
	return &cobra.Command{
		Use:   "copy SCENARIO DIR",
		Short: "Copy a built-in scenario to a folder of your own, to edit and run",
		Long: `Copy a built-in scenario to a folder of your own, to edit and run. DIR becomes the scenario's folder. It
must not exist yet, or be empty: nothing is ever overwritten, and it gets all files or none.`,
		Example:           `  ekslab copy nlb-hairpin my-hairpin && ekslab run ./my-hairpin`,
		ValidArgsFunction: a.completeScenarios,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("say which scenario and where to, such as: ekslab copy nlb-hairpin my-hairpin")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.copyScenario(args[0], args[1]) },
	}
}

func (a *app) copyScenario(name, dir string) error {
	catalog, err := a.Catalog()
	if err != nil {
		return err
	}
	s, err := catalog.Find(name)
	if err != nil {
		return err
	}
	from, err := s.Folder()
	if err != nil {
		return err
	}
	n, err := copyFolder(from, dir)
	if err != nil {
		return err
	}
	shown := dir
	if !isPath(shown) {
		shown = "./" + shown
	}
	_, err = fmt.Fprintf(a.stdout, "Copied %s to %s (%d files). Edit it, then:\n  %s\n  %s\n", s.Name, dir, n,
		report.Quote([]string{"ekslab", "validate", shown}), report.Quote([]string{"ekslab", "run", shown}))
	if err != nil {
		return exitWith(run.ExitUndecided, quietPipe(err))
	}
	return nil
}

// copyFolder writes the files to dir, all or none. They are put together in a folder beside it, which takes its place at the end.
func copyFolder(from fs.FS, dir string) (files int, err error) {
	dir = filepath.Clean(dir)
	made := false // dir was there before, and empty
	switch entries, err := os.ReadDir(dir); {
	case err == nil && len(entries) > 0:
		return 0, fmt.Errorf("%s is not empty (it has %s); nothing is overwritten: name a folder that does not exist yet", dir, entries[0].Name())
	case err == nil:
		made = true
	case !errors.Is(err, fs.ErrNotExist):
		if info, statErr := os.Stat(dir); statErr == nil && !info.IsDir() {
			return 0, fmt.Errorf("%s is a file; nothing is overwritten: name a folder that does not exist yet", dir)
		}
		return 0, err
	}
	parent := filepath.Dir(dir)
	if made {
		parent = dir
	} else if err := os.MkdirAll(parent, 0o777); err != nil {
		return 0, err
	}
	temp, err := os.MkdirTemp(parent, ".ekslab-copy-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	whole := filepath.Join(temp, "scenario")
	if files, err = writeFolder(from, whole); err != nil {
		return 0, err
	}
	if !made {
		return files, os.Rename(whole, dir)
	}
	// The folder may be the current one, which cannot be replaced: its entries move one by one, and back again if one cannot.
	entries, err := os.ReadDir(whole)
	if err != nil {
		return 0, err
	}
	for i, e := range entries {
		if err := os.Rename(filepath.Join(whole, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			for _, done := range entries[:i] {
				_ = os.RemoveAll(filepath.Join(dir, done.Name()))
			}
			return 0, err
		}
	}
	return files, nil
}

func writeFolder(from fs.FS, dir string) (files int, err error) {
	err = fs.WalkDir(from, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		dest := filepath.Join(dir, filepath.FromSlash(name))
		if d.IsDir() {
			return os.MkdirAll(dest, 0o777)
		}
		content, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		files++
		return os.WriteFile(dest, content, 0o666)
	})
	return files, err
}
