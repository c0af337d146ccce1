# nomad job run -var key="$(head -c 32 /dev/urandom | base64)" deploy/nomad/site.nomad.hcl
# In production, take the key from Vault or a Nomad variable, and the images from a registry that all clients reach.
variable "key" {
  type = string
}

variable "seeds" {
  type        = string
  default     = "gossip.service.consul"
  description = "A name for members that are there already; the service `gossip` below, where Consul answers DNS."
}

job "site" {
  datacenters = ["*"]

  update {
    max_parallel = 1
    canary       = 0
    auto_revert  = true
  }

  group "web" {
    count = 5

    network {
      mode = "bridge"
      port "http" { to = 8000 }
      port "gossip" { to = 7946 }
    }

    service {
      name     = "gossip"
      port     = "gossip"
      provider = "consul"
    }

    task "web" {
      driver         = "docker"
      kill_timeout   = "15s"
      shutdown_delay = "0s"

      config {
        image           = "gossip-web:latest"
        ports           = ["http", "gossip"]
        readonly_rootfs = true
        cap_drop        = ["all"]
        mount {
          type   = "tmpfs"
          target = "/run"
        }
      }

      env {
        GOSSIP_NODE_NAME    = "web-${NOMAD_SHORT_ALLOC_ID}"
        GOSSIP_ADVERTISE    = "${NOMAD_ADDR_gossip}"
        GOSSIP_TAGS         = "role=backend,port=${NOMAD_HOST_PORT_http}"
        GOSSIP_RETRY_JOIN   = var.seeds
        GOSSIP_ENCRYPT_FILE = "/secrets/gossip.key"
        PORT                = "8000"
      }

      template {
        data        = var.key
        destination = "secrets/gossip.key"
        perms       = "0444"
      }

      resources {
        cpu    = 200
        memory = 256
      }
    }
  }

  group "haproxy" {
    count = 2

    network {
      mode = "bridge"
      port "http" {
        static = 8080
        to     = 8080
      }
      port "gossip" { to = 7946 }
    }

    service {
      name     = "gossip"
      port     = "gossip"
      provider = "consul"
    }

    task "haproxy" {
      driver       = "docker"
      kill_timeout = "20s"

      config {
        image           = "gossip-haproxy:latest"
        ports           = ["http", "gossip"]
        readonly_rootfs = true
        cap_drop        = ["all"]
        mount {
          type   = "tmpfs"
          target = "/run"
        }
      }

      env {
        GOSSIP_NODE_NAME    = "haproxy-${NOMAD_SHORT_ALLOC_ID}"
        GOSSIP_ADVERTISE    = "${NOMAD_ADDR_gossip}"
        GOSSIP_RETRY_JOIN   = var.seeds
        GOSSIP_ENCRYPT_FILE = "/secrets/gossip.key"
      }

      template {
        data        = var.key
        destination = "secrets/gossip.key"
        perms       = "0444"
      }

      resources {
        cpu    = 500
        memory = 256
      }
    }
  }
}
