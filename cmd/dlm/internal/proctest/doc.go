// Package proctest looks at the processes that `dlm lock` is made of.
package proctest
