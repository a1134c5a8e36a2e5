/**
 * What a client's own library says of a call that its server did not answer, in the words of Go's (google.golang.org/grpc), which people
 * search for and kubelets' events have. What servers say is left as it is. Pure.
 */
const errnoWords: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  ECONNREFUSED: 'connection refused',
  EACCES: 'permission denied',
  ENOTSOCK: 'socket operation on non-socket',
};

export function goWords(details: string): string {
  // @grpc/grpc-js 1.x: load-balancer-pick-first, resolving-call and transport.
  const [, errno = '', path = ''] =
    /^No connection established\. Last error: (?:Error: )?connect (E[A-Z]+) (.*?)\. Resolution note: /s.exec(
      details,
    ) ?? [];
  if (errno !== '') {
    const why = `dial unix ${path}: connect: ${errnoWords[errno] ?? errno}`;
    return `connection error: desc = "transport: Error while dialing: ${why}"`;
  }
  if (/^Deadline exceeded(?: after .*)?$/s.test(details)) return 'context deadline exceeded';
  return details === 'Connection dropped' ? 'error reading from server: EOF' : details;
}
