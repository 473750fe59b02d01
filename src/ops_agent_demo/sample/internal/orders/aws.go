package orders

import (
	"context"
	"crypto/rand"
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

// New makes a shop that keeps orders in a table and announces them on a topic.
func New(clients aws.Config, table, topic string) Shop {
	cloud := services{dynamodb.NewFromConfig(clients), sns.NewFromConfig(clients), table, topic}
	return Shop{Keeper: cloud, Announcer: cloud, NewID: rand.Text}
}

type services struct {
	tables *dynamodb.Client
	topics *sns.Client
	table  string
	topic  string
}

func (s services) Put(ctx context.Context, id string, body json.RawMessage) error {
	_, err := s.tables.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.table, Item: map[string]types.AttributeValue{
		"order_id": &types.AttributeValueMemberS{Value: id},
		"body":     &types.AttributeValueMemberS{Value: string(body)},
	}})
	return err
}

func (s services) Announce(ctx context.Context, id string) error {
	_, err := s.topics.Publish(ctx, &sns.PublishInput{TopicArn: &s.topic, Message: &id})
	return err
}
