/**
 * Network: the variables by which programs find the net door. There is no standard for them; both cases are set because some programs read one and some
 * the other (curl, for one, reads `http_proxy` in small letters alone: curl.se/docs/manpage.html).
 *   GUE-4.1  Requests to other hosts are sent to the net door with the guest's own credential; what is on the loopback device is reached without it.
 */

/** `port`: where the net door is inside the sandbox. */
export function proxyEnv(port: number, credential: string): Readonly<Record<string, string>> {
  const proxy = `http://daimon:${credential}@127.0.0.1:${port}`;
  const direct = "localhost,127.0.0.1,::1";
  return {
    HTTP_PROXY: proxy,
    http_proxy: proxy,
    HTTPS_PROXY: proxy,
    https_proxy: proxy,
    NO_PROXY: direct,
    no_proxy: direct,
    // Node's own clients read the others only when told to (nodejs.org/api/cli.html, NODE_USE_ENV_PROXY).
    NODE_USE_ENV_PROXY: "1",
  };
}
