"""What is different between two images, down to the section of a program."""
