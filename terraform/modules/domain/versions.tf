terraform {
  # 1.9: a validation may refer to other variables.
  required_version = ">= 1.9"

  required_providers {
    google = {
      source = "hashicorp/google"
      # As the other modules, which it is used with. A major version may change or remove attributes.
      version = ">= 7.33, < 9"
    }
  }
}
