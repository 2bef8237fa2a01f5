"""An RTSP server by Debian's GStreamer, in a process of its own: `python3 rtsp_server.py PORT`.

Run by the system's Python, which has python3-gi. Mounts: /h264, /mjpeg, /sound (no video). With
$RTSP_PASSWORD they are the user pi's. A SIGSTOP stalls it.
"""

import os
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

FPS = 25
PASSWORD = os.environ.get("RTSP_PASSWORD", "")  # of the user pi; "": everybody may see all


def main(port: str, size: str = "640x480", keyframes: str = "25") -> None:
    width, height = size.split("x")
    raw = (
        "videotestsrc is-live=true pattern=ball ! "
        f"video/x-raw,width={width},height={height},framerate={FPS}/1"
    )
    h264 = (
        f"{raw},format=I420 ! x264enc tune=zerolatency speed-preset=ultrafast "
        f"key-int-max={keyframes} ! rtph264pay name=pay0 config-interval=1"
    )
    mounts = {
        "/h264": h264,
        "/mjpeg": f"{raw},format=I420 ! jpegenc ! rtpjpegpay name=pay0",
        "/sound": "audiotestsrc is-live=true ! mulawenc ! rtppcmupay name=pay0",
    }
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    for path, pipeline in mounts.items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {pipeline} )")
        factory.set_shared(True)
        if PASSWORD:
            lock(factory)
        server.get_mount_points().add_factory(path, factory)
    if PASSWORD:
        auth = GstRtspServer.RTSPAuth()
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        token = GstRtspServer.RTSPToken()
        token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "user")
        auth.add_digest("pi", PASSWORD, token)
        server.set_auth(auth)
    server.attach(None)
    print("ready", flush=True)
    GLib.MainLoop().run()


def lock(factory) -> None:
    permissions = GstRtspServer.RTSPPermissions()
    for permission in (
        GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS,
        GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT,
    ):
        permissions.add_permission_for_role("user", permission, True)
    factory.set_permissions(permissions)


if __name__ == "__main__":
    main(*sys.argv[1:])
