// A node of a chat on Centrifuge, the library that Centrifugo is made of, with Redis as its broker:
//
//	centrifuge PORT REDIS_PORT
//
// Channels have a history in Redis streams and can be recovered from; nobody is told who is in them (no presence, no
// join and leave messages). Debian has the library: golang-go, golang-github-centrifugal-centrifuge-dev; peers.py
// builds this.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/centrifugal/centrifuge"
)

func main() {
	config := centrifuge.DefaultConfig
	config.ClientPresenceUpdateInterval = time.Hour
	node, err := centrifuge.New(config)
	must(err)
	shard, err := centrifuge.NewRedisShard(node, centrifuge.RedisShardConfig{Address: "127.0.0.1:" + os.Args[2]})
	must(err)
	broker, err := centrifuge.NewRedisBroker(node, centrifuge.RedisBrokerConfig{
		UseStreams: true,
		Shards:     []*centrifuge.RedisShard{shard},
	})
	must(err)
	node.SetBroker(broker)
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(e centrifuge.SubscribeEvent, answer centrifuge.SubscribeCallback) {
			answer(centrifuge.SubscribeReply{Options: centrifuge.SubscribeOptions{Recover: true}}, nil)
		})
		client.OnPublish(func(e centrifuge.PublishEvent, answer centrifuge.PublishCallback) {
			result, err := node.Publish(e.Channel, e.Data, centrifuge.WithHistory(1000, 7*24*time.Hour))
			answer(centrifuge.PublishReply{Result: &result}, err)
		})
	})
	must(node.Run())
	chat := centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		CheckOrigin:  func(*http.Request) bool { return true },
		PingInterval: time.Hour,
	})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		who := &centrifuge.Credentials{UserID: r.URL.Query().Get("user")}
		chat.ServeHTTP(w, r.WithContext(centrifuge.SetCredentials(context.Background(), who)))
	})
	door, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	must(err)
	fmt.Println("listening")
	must(http.Serve(door, nil))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
