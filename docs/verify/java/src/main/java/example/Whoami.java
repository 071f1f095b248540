package example;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.Arrays;
import java.util.Optional;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.jose4j.jwa.AlgorithmConstraints.ConstraintType;
import org.jose4j.jwk.HttpsJwks;
import org.jose4j.jwt.JwtClaims;
import org.jose4j.jwt.consumer.InvalidJwtException;
import org.jose4j.jwt.consumer.JwtConsumer;
import org.jose4j.jwt.consumer.JwtConsumerBuilder;
import org.jose4j.keys.resolvers.HttpsJwksVerificationKeyResolver;

/**
 * A service that verifies Symbolon's access tokens and asks the issuer whether they were revoked. What it checks and why
 * is in docs/verify/README.md.
 */
public final class Whoami {
  private final JwtConsumer consumer;
  private final Issuer issuer;

  Whoami(String iss, String audience, Issuer issuer) {
    this.issuer = issuer;
    // A new key is published a day before it signs; one that is not known is looked for, at most every 5 s. A key that was
    // taken out is caught by asking, so that the set may be kept for long while the issuer is away.
    var keys = new HttpsJwks(iss + "/.well-known/jwks.json");
    keys.setRefreshReprieveThreshold(TimeUnit.SECONDS.toMillis(5));
    keys.setRetainCacheOnErrorDuration(TimeUnit.DAYS.toSeconds(1));
    consumer =
        new JwtConsumerBuilder()
            .setJwsAlgorithmConstraints(ConstraintType.PERMIT, "EdDSA")
            .setExpectedType(true, "at+jwt")
            .setVerificationKeyResolver(new HttpsJwksVerificationKeyResolver(keys))
            .setExpectedIssuer(iss)
            .setExpectedAudience(audience)
            .setRequireExpirationTime()
            .setRequireSubject()
            .setAllowedClockSkewInSeconds(5)
            .build();
  }

  /** The claims of a good token; none if it is not. */
  Optional<JwtClaims> verify(String token) throws Undecided {
    try {
      var claims = consumer.processToClaims(token);
      // Last, so that a forged token is not worth a call.
      return issuer.isActive(token) ? Optional.of(claims) : Optional.empty();
    } catch (InvalidJwtException refused) {
      for (Throwable cause = refused; cause != null; cause = cause.getCause()) {
        if (cause instanceof IOException) throw new Undecided(refused); // the keys could not be fetched
      }
      return Optional.empty();
    }
  }

  /** Answers the claims to whom a good token with this scope names; "" asks for none. */
  void whoami(HttpExchange exchange, String scope) throws IOException {
    var header = Optional.ofNullable(exchange.getRequestHeaders().getFirst("Authorization")).orElse("");
    var token = header.regionMatches(true, 0, "Bearer ", 0, 7) ? header.substring(7) : "";
    try {
      var claims = verify(token);
      if (claims.isEmpty()) {
        answer(exchange, 401, "WWW-Authenticate", "Bearer", "a good access token is needed\n");
      } else if (!scope.isEmpty() && !allows(claims.get(), scope)) {
        var challenge = "Bearer error=\"insufficient_scope\", scope=\"" + scope + "\"";
        answer(exchange, 403, "WWW-Authenticate", challenge, "the token does not allow this\n");
      } else {
        answer(exchange, 200, "Content-Type", "application/json", claims.get().toJson());
      }
    } catch (Undecided undecided) {
      System.err.println(undecided);
      answer(exchange, 503, "Retry-After", "1", "it cannot be told now whether this token is good\n");
    }
  }

  private static boolean allows(JwtClaims claims, String scope) {
    return Arrays.asList(String.valueOf(claims.getClaimValue("scope")).split(" ")).contains(scope);
  }

  private static void answer(HttpExchange exchange, int status, String header, String value, String text)
      throws IOException {
    exchange.getResponseHeaders().set(header, value);
    exchange.sendResponseHeaders(status, text.getBytes(UTF_8).length);
    exchange.getResponseBody().write(text.getBytes(UTF_8));
    exchange.close();
  }

  private static String env(String name) {
    return Optional.ofNullable(System.getenv(name)).orElseThrow(() -> new IllegalStateException(name + " is not set"));
  }

  public static void main(String[] args) throws IOException {
    var callerToken = Optional.ofNullable(System.getenv("SYMBOLON_CALLER_TOKEN"));
    var issuer = new Issuer(URI.create(env("SYMBOLON_URL")), callerToken);
    var service = new Whoami(env("ISSUER"), env("AUDIENCE"), issuer);
    var address = new InetSocketAddress(InetAddress.getLoopbackAddress(), Integer.parseInt(env("PORT")));
    var server = HttpServer.create(address, 0);
    server.createContext("/whoami", exchange -> service.whoami(exchange, ""));
    server.createContext("/orders", exchange -> service.whoami(exchange, "orders:read"));
    server.setExecutor(Executors.newCachedThreadPool());
    server.start();
    System.out.println("listening on localhost:" + server.getAddress().getPort());
  }
}
