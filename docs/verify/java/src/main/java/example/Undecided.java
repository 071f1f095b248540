package example;

/** What cannot be told now is not the user's fault: 503, never 401, which would sign people out. */
final class Undecided extends Exception {
  Undecided(Exception cause) {
    super(cause);
  }
}
