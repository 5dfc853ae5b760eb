<?php
// A save handler that is set once, before the first request.
require dirname(__DIR__, 2) . '/lib/folder_sessions.php';
session_set_save_handler(new FolderSessions(getenv('SESSION_FOLDER')), true);
