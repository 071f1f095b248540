package example;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.ProtoUtils;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import java.net.URI;
import java.util.Optional;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import symbolon.auth.v1.IntrospectTokenRequest;
import symbolon.auth.v1.IntrospectTokenResponse;

/** Whoever issued the tokens, asked by gRPC. */
final class Issuer {
  /** As protoc-gen-grpc-java would write it; for one method it is not worth a plugin. */
  private static final MethodDescriptor<IntrospectTokenRequest, IntrospectTokenResponse> INTROSPECT_TOKEN =
      MethodDescriptor.<IntrospectTokenRequest, IntrospectTokenResponse>newBuilder()
          .setType(MethodType.UNARY)
          .setFullMethodName("symbolon.auth.v1.AuthService/IntrospectToken")
          .setRequestMarshaller(ProtoUtils.marshaller(IntrospectTokenRequest.getDefaultInstance()))
          .setResponseMarshaller(ProtoUtils.marshaller(IntrospectTokenResponse.getDefaultInstance()))
          .build();

  private final ManagedChannel connection;
  private final Channel channel;

  Issuer(URI symbolon, Optional<String> callerToken) {
    var builder = ManagedChannelBuilder.forTarget(symbolon.getAuthority());
    // On this machine only: the secret must not cross a network in plaintext.
    connection = (symbolon.getScheme().equals("https") ? builder : builder.usePlaintext()).build();
    // By itself it would at last try again every two minutes only.
    Executors.newSingleThreadScheduledExecutor()
        .scheduleWithFixedDelay(connection::resetConnectBackoff, 5, 5, TimeUnit.SECONDS);
    var caller = new Metadata();
    var authorization = Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
    callerToken.ifPresent(secret -> caller.put(authorization, "Bearer " + secret));
    channel = ClientInterceptors.intercept(connection, MetadataUtils.newAttachHeadersInterceptor(caller));
  }

  /** Whether this token is good at this moment, revocations included. */
  boolean isActive(String token) throws Undecided {
    var options = CallOptions.DEFAULT.withDeadlineAfter(2, TimeUnit.SECONDS);
    var request = IntrospectTokenRequest.newBuilder().setToken(token).build();
    try {
      return ClientCalls.blockingUnaryCall(channel, INTROSPECT_TOKEN, options, request).getActive();
    } catch (StatusRuntimeException unanswered) {
      throw new Undecided(unanswered);
    }
  }
}
