<?php
// Answers how many bytes arrived as a form's file.
echo isset($_FILES['file']) && $_FILES['file']['error'] === UPLOAD_ERR_OK ? filesize($_FILES['file']['tmp_name']) : 'refused';
