// What is no longer to be trusted, as the feed tells it. The contract is read from the .proto files as they are: copy the
// folder proto/symbolon/auth.
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { credentials, loadPackageDefinition, Metadata, status, type ClientReadableStream } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const SILENCE = 40_000; // ms. A heartbeat comes every 15 s: after this the connection is dead
const STALE = 60_000; // ms. After so long without the feed nobody is let in

type Timestamp = { seconds: number; nanos: number };
type Event = {
  event: "revocations" | "snapshot_end" | "heartbeat";
  revocations?: {
    sessions: { session_id: string; expire_time: Timestamp }[];
    keys: { key_id: string; expire_time: Timestamp }[];
  };
  cursor: string;
};

const contract = loadSync("symbolon/auth/v1/auth_service.proto", {
  includeDirs: [process.env.SYMBOLON_PROTO ?? fileURLToPath(new URL("../../../proto", import.meta.url))],
  keepCase: true,
  longs: Number,
  defaults: true,
  arrays: true,
  oneofs: true,
});
const { AuthService } = (loadPackageDefinition(contract) as any).symbolon.auth.v1;

export class Revocations {
  /** By session id or key id: when its last token has died, in ms. */
  #until = new Map<string, number>();
  /** When the feed last said that this is everything, in ms. */
  #heard = -Infinity;

  constructor(url: string, secret?: string) {
    const { protocol, host } = new URL(url);
    // On this machine only: the secret must not cross a network in plaintext.
    const transport = protocol === "https:" ? credentials.createSsl() : credentials.createInsecure();
    const client = new AuthService(host, transport, { "grpc.max_reconnect_backoff_ms": 5_000 });
    const caller = new Metadata();
    if (secret) caller.set("authorization", `Bearer ${secret}`);
    void this.#follow((cursor) => client.WatchRevocations({ cursor }, caller));
  }

  /** Whether this session or key is revoked. */
  has(id: string): boolean {
    return this.#until.has(id);
  }

  /** Whether the feed has been heard of lately, so that what it did not name is good. */
  upToDate(): boolean {
    return performance.now() - this.#heard < STALE;
  }

  async #follow(open: (cursor: string) => ClientReadableStream<Event>): Promise<never> {
    for (let cursor = ""; ; await sleep(1_000)) {
      const stream = open(cursor);
      const watchdog = setTimeout(() => stream.cancel(), SILENCE);
      try {
        let complete = false;
        for await (const event of stream as AsyncIterable<Event>) {
          watchdog.refresh();
          this.#take(event);
          // The end of the snapshot, or the heartbeat after what came behind the cursor: nothing is missing from here on.
          complete ||= event.event !== "revocations";
          if (complete) this.#heard = performance.now();
          cursor = event.cursor || cursor;
        }
      } catch (error) {
        console.error("the feed of revocations ended:", (error as Error).message);
        // From the beginning; what is held stays.
        if ((error as { code?: number }).code === status.OUT_OF_RANGE) cursor = "";
      } finally {
        clearTimeout(watchdog);
      }
    }
  }

  #take({ revocations }: Event): void {
    const milliseconds = (time: Timestamp) => time.seconds * 1000 + time.nanos / 1e6;
    for (const session of revocations?.sessions ?? []) {
      this.#until.set(session.session_id, milliseconds(session.expire_time));
    }
    for (const key of revocations?.keys ?? []) this.#until.set(key.key_id, milliseconds(key.expire_time));
    for (const [id, until] of this.#until) if (until < Date.now()) this.#until.delete(id);
  }
}
