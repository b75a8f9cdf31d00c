package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// defaultNetwork is the network where none is named.
const defaultNetwork = "cairn"

func rootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "cairn",
		Short: "keep files on other people's disks, encrypted, and get them back",
		Long: `cairn keeps files on disk space that volunteers donate, encrypted so that only
who holds a link can read them, and gives them back while enough holders live.`,
		Example: `  cairn demo                       see it work, on this machine alone
  cairn node --donate 200GB        give disk
  cairn put holiday.mp4            store a file and get its link
  cairn get - < link.txt           get it back`,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE:          func(cmd *cobra.Command, _ []string) error { return a.prepare(cmd) },
		SuggestionsMinimumDistance: 2,
	}
	addGlobalFlags(a, root.PersistentFlags())
	root.SetOut(a.out)
	root.SetErr(a.errs)
	root.SetIn(a.in)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return misuse("\"cairn help"+strings.TrimPrefix(cmd.CommandPath(), "cairn")+"\" shows the flags", "%v", err)
	})
	root.SetUsageTemplate(usageTemplate)
	root.SetHelpCommand(helpCommand())
	root.Flags().SortFlags = false
	cobra.EnableCommandSorting = false // they are in the order in which they are needed
	addGroup(root, "begin", demoCommand(a), joinCommand(a), networkCommand(a))
	addGroup(root, "give disk", nodeCommand(a))
	addGroup(root, "keep files", putCommand(a), getCommand(a), catCommand(a), uploadsCommand(a), healthCommand(a), deleteCommand(a), renewCommand(a))
	addGroup(root, "besides", doctorCommand(a), versionCommand(a))
	root.SetHelpCommandGroupID("besides")
	root.SetCompletionCommandGroupID("besides")
	root.InitDefaultCompletionCmd()
	if c := childCommand(root, "completion"); c != nil {
		c.Short = "make the script by which a shell completes commands"
		c.Long = "completion prints a script by which a shell completes cairn's commands and flags;\n\"cairn help completion bash\" says where to put it."
		c.Example = "  cairn completion bash > /etc/bash_completion.d/cairn"
		c.PersistentPreRunE = noSettings
	}
	return root
}

// addGroup adds commands under a heading of the help.
func addGroup(root *cobra.Command, title string, cmds ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title + ":"})
	for _, c := range cmds {
		c.GroupID = title
	}
	root.AddCommand(cmds...)
}

func addGlobalFlags(a *app, f *pflag.FlagSet) {
	f.StringVar(&a.flags.home, "home", "", "keep keys, settings and stored shards in `DIR` ($CAIRN_HOME)")
	f.StringVar(&a.flags.network, "network", defaultNetwork, "the network's `NAME` ($CAIRN_NETWORK)")
	f.StringArrayVar(&a.flags.bootstrap, "bootstrap", nil, "begin with the peer at `ADDRESS`; repeatable ($CAIRN_BOOTSTRAP)")
	f.BoolVar(&a.flags.noMDNS, "no-mdns", false, "do not look for peers on the local network")
	f.BoolVar(&a.flags.json, "json", false, "print for programs (docs/json.md)")
	f.BoolVar(&a.flags.quiet, "quiet", false, "no progress, no remarks")
	f.StringVar(&a.flags.logLevel, "log-level", "", "log to standard error from `LEVEL` up: none, error, warn, info or debug (default none, of a node warn)")
	f.SortFlags = false
}

// prepare runs before every command: settings, then the log.
func (a *app) prepare(cmd *cobra.Command) error {
	if err := a.applySettings(cmd); err != nil {
		return err
	}
	if err := a.checkNetwork(); err != nil {
		return err
	}
	if a.flags.logLevel == "" {
		a.flags.logLevel = defaultLogLevel(cmd)
	}
	a.prepared = true
	return a.startLog()
}

// noSettings is for commands that must work whatever the settings are.
func noSettings(*cobra.Command, []string) error { return nil }

// knownCommand refuses a word that is no command, and suggests similar ones.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	at := cmd.CommandPath()
	hint := "\"cairn help" + strings.TrimPrefix(at, "cairn") + "\" lists the commands"
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean \"" + at + " " + strings.Join(near, "\" or \""+at+" ") + "\"?"
	}
	return misuse(hint, "%q is no command", args[0])
}

// takes checks the number of arguments; what names them, as in the usage.
func takes(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		hint := "\"cairn help" + strings.TrimPrefix(cmd.CommandPath(), "cairn") + "\" ends in an example"
		switch {
		case len(args) < least:
			return misuse(hint, "%s: %s is missing", cmd.Name(), what)
		case len(args) > most && most == 0:
			return misuse(hint, "%s takes no arguments", cmd.Name())
		case len(args) > most:
			return misuse(hint, "%s takes %s, and no more", cmd.Name(), what)
		}
		return nil
	}
}

// helpCommand is cobra's own, except that an unknown topic is an error.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "help [COMMAND]",
		Short:             "help about any command",
		PersistentPreRunE: noSettings,
		RunE: func(cmd *cobra.Command, args []string) error {
			topic, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return knownCommand(cmd.Root(), args)
			}
			topic.InitDefaultHelpFlag()
			return topic.Help()
		},
	}
}

// usageTemplate fits on a screen: what the command does, its flags, an example at the
// end.
const usageTemplate = `usage: {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND{{else}}{{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}{{if and .Runnable .HasParent}}
       {{.UseLine}}{{end}}{{range $group := .Groups}}

{{.Title}}{{range $.Commands}}{{if and (eq .GroupID $group.ID) (or .IsAvailableCommand (eq .Name "help"))}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if not .Groups}}

commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

flags:
{{.LocalFlags.FlagUsagesWrapped 78 | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

and everywhere: --home --network --bootstrap --no-mdns --json --quiet --log-level ("cairn help"){{end}}{{if .HasExample}}

example:
{{.Example}}{{end}}
`
