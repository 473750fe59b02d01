// Command api accepts orders: it stores each one and announces it.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/DrivvenConsulting/orders/internal/orders"
)

func main() {
	clients, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	shop := orders.New(clients, os.Getenv("ORDERS_TABLE"), os.Getenv("ORDER_TOPIC_ARN"))
	lambda.Start(func(ctx context.Context, body json.RawMessage) (string, error) {
		return shop.Accept(ctx, body)
	})
}
