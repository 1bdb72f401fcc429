"""What is wrong with a data set: copies, leaks, doubtful labels, unreadable and odd images; and what that costs."""
