// Reads and never says anything.
process.stdin.resume()
