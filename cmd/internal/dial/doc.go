// Package dial connects to servers for what the commands ask of them without the SDK.
package dial
