// robfig/cron with a lock of keys through redigo: what many services in Go have.
//
// The environment says what to do; see ../src/peer/work.rs.
package main

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/robfig/cron"
)

type start struct{ task, instant, at int64 }

var (
	mutex  sync.Mutex
	starts []start
)

func note(task, instant int64) {
	at := time.Now().UnixMicro()
	mutex.Lock()
	starts = append(starts, start{task, instant, at})
	mutex.Unlock()
}

func number(name string) int64 {
	value, err := strconv.ParseInt(os.Getenv(name), 10, 64)
	if err != nil {
		log.Fatalf("%s: %v", name, err)
	}
	return value
}

func token() string {
	var bits [16]byte
	if _, err := rand.Read(bits[:]); err != nil {
		log.Fatal(err)
	}
	return hex.EncodeToString(bits[:])
}

func do(pool *redis.Pool, command string, args ...interface{}) (interface{}, error) {
	connection := pool.Get()
	defer connection.Close()
	return connection.Do(command, args...)
}

func main() {
	tasks, period := number("PEER_TASKS"), number("PEER_PERIOD")
	address := fmt.Sprintf("127.0.0.1:%d", number("PEER_PORT"))
	pool := &redis.Pool{
		// As many as the other peers have.
		MaxIdle: 20, MaxActive: 20, Wait: true,
		Dial: func() (redis.Conn, error) { return redis.Dial("tcp", address) },
	}
	scheduler := cron.New(cron.WithSeconds(), cron.WithLocation(time.UTC))
	spec := fmt.Sprintf("*/%d * * * * *", period)
	for task := int64(0); task < tasks; task++ {
		task, key := task, fmt.Sprintf("task:lock:peer_%d", task)
		_, err := scheduler.AddFunc(spec, func() {
			instant := time.Now().Unix() / period * period // jobs are not told theirs
			taken, err := do(pool, "SET", key, token(), "NX", "EX", 30)
			if err != nil {
				log.Printf("robfig: task %d: %v", task, err)
			}
			if taken == nil {
				return
			}
			note(task, instant)
			if _, err := do(pool, "DEL", key); err != nil {
				log.Printf("robfig: task %d: %v", task, err)
			}
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	scheduler.Start()
	fmt.Println("{}")
	io.Copy(io.Discard, os.Stdin)

	file, err := os.Create(os.Getenv("PEER_FILE"))
	if err != nil {
		log.Fatal(err)
	}
	mutex.Lock()
	writer := bufio.NewWriter(file)
	for _, s := range starts {
		fmt.Fprintf(writer, "%d %d %d\n", s.task, s.instant, s.at)
	}
	if err := writer.Flush(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("{}")
	os.Exit(0)
}
