{"Resource": "${arn}", "Name": "${name}"}
