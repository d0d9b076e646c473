"""What models are asked: prompt sets and tasks, the files they come from, and checks of them."""
