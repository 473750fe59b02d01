#!/bin/bash
set -a
. "infra/environments/$1/terraform.tfvars"
