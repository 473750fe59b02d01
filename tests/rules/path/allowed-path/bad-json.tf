# at: infra/main.tf.json
{}
