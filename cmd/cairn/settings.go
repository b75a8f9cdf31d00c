package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// configFile is in the home and can set whatever a flag can set. Flags of all
// commands are at its top, those of one command in a table with its name:
//
//	network = "friends"
//
//	[node]
//	donate = ["200GB:/mnt/a", "1TB:/mnt/b"]
const (
	configFile = "config.toml"
	envPrefix  = "CAIRN_"
	maxConfig  = 1 << 20
)

// notSettable are flags that make sense only on a command line.
var notSettable = []string{"home", "help", "version"}

// applySettings gives every flag that the command line does not set the value of
// its environment variable, else of the configuration file.
func (a *app) applySettings(cmd *cobra.Command) error {
	if a.flags.home == "" {
		a.flags.home = os.Getenv(envPrefix + "HOME")
	}
	if a.flags.home == "" {
		dir, err := dataDir()
		if err != nil {
			return withHint(err, "name a folder by --home DIR or $CAIRN_HOME")
		}
		a.flags.home = dir
	}
	home, err := filepath.Abs(a.flags.home) // it is written to files and given to other processes
	if err != nil {
		return fmt.Errorf("find the home: %w", err)
	}
	a.flags.home = home
	file, joined, err := a.readSettings(cmd)
	if err != nil {
		return err
	}
	a.named = cmd.Flags().Changed("network") || os.Getenv(envPrefix+"NETWORK") != ""
	var errs []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || slices.Contains(notSettable, f.Name) {
			return
		}
		errs = append(errs, applyFlag(cmd, f, file))
	})
	a.applyJoined(cmd, joined)
	return errors.Join(errs...)
}

// readSettings reads the home's two files of settings. Those of a newer cairn may
// have what this one cannot read: then the error says that the home is newer.
func (a *app) readSettings(cmd *cobra.Command) (map[string]any, joined, error) {
	path := filepath.Join(a.flags.home, configFile)
	file, err := readConfig(path)
	if err == nil {
		if unknown := checkConfig(cmd.Root(), file, ""); unknown != nil {
			err = misuse("the file is "+path, "%v", unknown)
		}
	}
	var j joined
	if err == nil {
		j, err = readJoined(a.flags.home)
	}
	if err != nil {
		if _, newer := (home{a.flags.home}).version(homeVersion); errors.Is(newer, errNewerHome) {
			err = fmt.Errorf("open home: %w", newer)
		}
	}
	return file, j, err
}

func applyFlag(cmd *cobra.Command, f *pflag.Flag, file map[string]any) error {
	inherited := cmd.InheritedFlags().Lookup(f.Name) != nil || cmd.Root().PersistentFlags().Lookup(f.Name) != nil
	env := envName(cmd, f, inherited)
	if text, ok := os.LookupEnv(env); ok && text != "" {
		values := []string{text}
		if strings.HasSuffix(f.Value.Type(), "Array") {
			values = strings.Split(text, ",")
		}
		return setFlag(cmd, f, values, "$"+env)
	}
	v, ok := configValue(cmd, f, file, inherited)
	if !ok {
		return nil
	}
	values, err := configStrings(v)
	if err != nil {
		return misuse("", "%s: %s: %v", configFile, f.Name, err)
	}
	return setFlag(cmd, f, values, configFile)
}

func setFlag(cmd *cobra.Command, f *pflag.Flag, values []string, from string) error {
	for _, v := range values {
		if err := cmd.Flags().Set(f.Name, v); err != nil {
			return misuse("", "%s: %s: %v", from, f.Name, err)
		}
	}
	return nil
}

// envName is CAIRN_NETWORK for a flag of all commands, CAIRN_NODE_DONATE for a
// flag of one command.
func envName(cmd *cobra.Command, f *pflag.Flag, inherited bool) string {
	name := f.Name
	if !inherited {
		name = strings.Join(append(commandPath(cmd), name), "_")
	}
	return envPrefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// commandPath names the command without the program: ["node", "status"].
func commandPath(cmd *cobra.Command) []string { return strings.Fields(cmd.CommandPath())[1:] }

func configValue(cmd *cobra.Command, f *pflag.Flag, table map[string]any, inherited bool) (any, bool) {
	if !inherited {
		for _, name := range commandPath(cmd) {
			table, _ = table[name].(map[string]any)
		}
	}
	v, ok := table[f.Name]
	if _, isTable := v.(map[string]any); isTable {
		return nil, false
	}
	return v, ok
}

func configStrings(v any) ([]string, error) {
	switch v := v.(type) {
	case []any:
		var out []string
		for _, x := range v {
			s, err := configStrings(x)
			if err != nil || len(s) != 1 {
				return nil, errors.New("a list of plain values is wanted")
			}
			out = append(out, s...)
		}
		return out, nil
	case string, bool, int64, float64:
		return []string{fmt.Sprint(v)}, nil
	}
	return nil, errors.New("a text, a number, true, false or a list is wanted")
}

// checkConfig refuses names that no flag or command has: otherwise a misspelt
// setting would silently not be in force.
func checkConfig(cmd *cobra.Command, table map[string]any, at string) error {
	for key, v := range table {
		name := at + key
		sub, isTable := v.(map[string]any)
		if isTable {
			child := childCommand(cmd, key)
			if child == nil {
				return fmt.Errorf("%s: [%s] is no command", configFile, name)
			}
			if err := checkConfig(child, sub, name+"."); err != nil {
				return err
			}
			continue
		}
		f := cmd.Flags().Lookup(key)
		if f == nil && !cmd.HasParent() {
			f = cmd.PersistentFlags().Lookup(key)
		}
		if f == nil || slices.Contains(notSettable, key) {
			return fmt.Errorf("%s: %q is no setting", configFile, name)
		}
	}
	return nil
}

func childCommand(cmd *cobra.Command, name string) *cobra.Command {
	for _, c := range cmd.Commands() {
		if c.Name() == name {
			return c
		}
	}
	return nil
}

func readConfig(path string) (map[string]any, error) {
	table := make(map[string]any)
	if err := readTOML(path, &table); err != nil {
		return nil, err
	}
	return table, nil
}

// readTOML decodes a file strictly; a missing file changes nothing.
func readTOML(path string, into any) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err == nil && info.Size() > maxConfig {
		err = fmt.Errorf("%s has %d bytes, and %d are the most", path, info.Size(), maxConfig)
	}
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	dec := toml.NewDecoder(strings.NewReader(string(b))).DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return misuse("the file is "+path, "read settings: %v", err)
	}
	return nil
}
