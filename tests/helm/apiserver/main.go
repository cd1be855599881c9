// A Kubernetes API server with a store of its own, of one process, for as long as its standard input is open. Its arguments are
// those of kube-apiserver.
package main

import (
	"io"
	"log"
	"net/url"
	"os"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

// store runs etcd in that directory, and says where it listens.
func store(dir string) (string, error) {
	local := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	c := embed.NewConfig()
	c.Dir, c.LogLevel = dir, "error"
	c.UnsafeNoFsync = true
	c.ListenClientUrls, c.ListenPeerUrls = []url.URL{local}, []url.URL{local}
	e, err := embed.StartEtcd(c)
	if err != nil {
		return "", err
	}
	<-e.Server.ReadyNotify()
	return "http://" + e.Clients[0].Addr().String(), nil
}

func main() {
	dir, err := os.MkdirTemp("", "apiserver")
	if err != nil {
		log.Fatal(err)
	}
	at, err := store(dir)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = os.RemoveAll(dir)
		os.Exit(0)
	}()
	command := app.NewAPIServerCommand()
	command.SetArgs(append(os.Args[1:], "--etcd-servers="+at))
	os.Exit(cli.Run(command))
}
