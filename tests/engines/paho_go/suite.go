// Package paho_go pins Eclipse Paho's Go client, whose own tests against a broker we run.
package paho_go

import _ "github.com/eclipse/paho.mqtt.golang"
