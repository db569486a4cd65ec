# A build, a test, a run: goroutines, an HTTP server, children, signals, timers, a loop that must be interrupted, a nil pointer.
mkdir /tmp/g && cd /tmp/g
export GOCACHE=/tmp/gc GOPATH=/tmp/gp GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local
printf 'module x\ngo 1.19\n' >go.mod
cat >m.go <<'E'
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

func main() {
	var wait sync.WaitGroup
	var mutex sync.Mutex
	sum := 0
	for i := 0; i < 100; i++ {
		wait.Add(1)
		go func(i int) { defer wait.Done(); mutex.Lock(); sum += i; mutex.Unlock() }(i)
	}
	wait.Wait()
	fmt.Println(sum)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) }))
	answer, err := http.Get(server.URL + "/abc")
	if err != nil { panic(err) }
	body, _ := io.ReadAll(answer.Body)
	fmt.Println(string(body))
	server.Close()
	out, err := exec.Command("sh", "-c", "echo out; exit 2").Output()
	fmt.Printf("%s %v\n", out, err)
	os.WriteFile("/tmp/gf", []byte("x"), 0600)
	status, _ := os.Stat("/tmp/gf")
	fmt.Println(status.Mode(), status.Size())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	fmt.Println(<-signals)
	<-time.After(10 * time.Millisecond)
	go func() { for { } }()
	time.Sleep(20 * time.Millisecond)
	defer func() { fmt.Println(recover()); os.Exit(5) }()
	var p *int
	fmt.Println(*p)
}
E
cat >m_test.go <<'E'
package main

import "testing"

func TestSum(t *testing.T) { if 1+1 != 2 { t.Fatal() } }
E
go version; go build -o m .; echo $?; ./m; echo $?
go vet .; go test . | cut -c1-6; go run m.go | head -1; go env GOOS; go list -m
