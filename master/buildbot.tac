"""Started by `minios up`, `minios matrix` or `buildbot start` in a base folder that links here."""

import os

from buildbot.master import BuildMaster
from twisted.application import service
from twisted.python.log import FileLogObserver, ILogObserver
from twisted.python.logfile import LogFile

basedir = os.environ.get("MINIOS_BASEDIR") or os.path.abspath(os.path.dirname(__file__))
configfile = "master.cfg"

# `buildbot start` looks for the next line to know a master's folder.
application = service.Application('buildmaster')
logfile = LogFile.fromFullPath(os.path.join(basedir, "twistd.log"), rotateLength=10_000_000, maxRotatedFiles=5)
application.setComponent(ILogObserver, FileLogObserver(logfile).emit)

master = BuildMaster(basedir, configfile)
master.setServiceParent(application)
