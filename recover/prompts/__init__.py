"""What models are asked: prompt sets, tasks, the files they come from, and what is wrong or shared in them."""
