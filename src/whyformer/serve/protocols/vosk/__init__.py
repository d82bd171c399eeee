"""The dialect of Vosk's server: sound over a WebSocket, words back."""
