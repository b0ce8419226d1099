"""gunicorn as its documentation recommends it: some processes with threads, connections are kept. The address comes from BIND."""

import os

bind = os.environ["BIND"]
worker_class = "gthread"
workers = int(os.environ.get("WORKERS", "3"))
threads = int(os.environ.get("THREADS", "2"))
keepalive = 75
control_socket_disable = True
worker_tmp_dir = "/dev/shm"
wsgi_app = "django.core.wsgi:get_wsgi_application()"
