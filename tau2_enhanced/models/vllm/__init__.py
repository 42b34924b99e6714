"""vLLM servers: starting them, ending them with the runner, spreading simulations over them, watching them."""
