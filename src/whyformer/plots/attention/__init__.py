"""The attention page of one sentence and its picture: who attends to whom, and how sure each token was."""
